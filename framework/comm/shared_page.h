// Memory that processes of one machine share and that has no name: when the last of them ends, in
// whatever way, it is gone.
//
//   SharedPage page = SharedPage::create(bytes);         // in one process
//   SharedPage same = SharedPage::open(page.address());  // in the others, while the first has it
//   page.forget();                                       // all are in
//
// Much memory lies on huge pages where the system has them: through small ones a virtual machine
// reads at a third of the rate and writes past its caches at two thirds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace heddle {

class SharedPage {
 public:
  // Plain bytes, to be sent to the other processes.
  struct Address {
    uint64_t id = 0;  // of this page among all
    uint64_t bytes = 0;
    int32_t process = 0;
    int32_t file = -1;
  };

  SharedPage() = default;
  // Zeroed. Without memory if the system has none.
  static SharedPage create(size_t bytes);
  // The page at `address`; without memory if it cannot be reached from here.
  static SharedPage open(const Address& address);
  ~SharedPage() { forget(); }
  SharedPage(SharedPage&& other) noexcept { *this = static_cast<SharedPage&&>(other); }
  SharedPage& operator=(SharedPage&& other) noexcept;

  const Address& address() const { return address_; }
  // Behind it stay the bytes for as long as somebody has them; null if there are none.
  const std::shared_ptr<void>& memory() const { return memory_; }
  // From now on nobody else can open it.
  void forget();

 private:
  Address address_;
  bool created_ = false;
  std::shared_ptr<void> memory_;
};

}  // namespace heddle
