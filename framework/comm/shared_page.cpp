#include "framework/comm/shared_page.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace heddle {
namespace {

// The first bytes tell whether a process with this number and file is the one that was meant: in
// another container it may not be.
constexpr size_t kHead = 64;

std::shared_ptr<void> map(int file, size_t bytes) {
  void* start = mmap(nullptr, kHead + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (start == MAP_FAILED) return nullptr;
  const std::shared_ptr<void> whole(start, [bytes](void* p) { munmap(p, kHead + bytes); });
  return {whole, static_cast<char*>(start) + kHead};
}

uint64_t& id_of(const std::shared_ptr<void>& memory) {
  return *reinterpret_cast<uint64_t*>(static_cast<char*>(memory.get()) - kHead);
}

}  // namespace

SharedPage SharedPage::create(size_t bytes) {
  SharedPage page;
  page.address_ = {.id = 0, .bytes = bytes, .process = getpid(), .file = -1};
  page.address_.file = memfd_create("heddle", MFD_CLOEXEC);
  if (page.address_.file < 0) return page;
  page.created_ = true;
  if (ftruncate(page.address_.file, static_cast<off_t>(kHead + bytes)) != 0) return page;
  page.memory_ = map(page.address_.file, bytes);
  if (!page.memory_) return page;
  if (getrandom(&page.address_.id, sizeof(uint64_t), 0) != sizeof(uint64_t)) {
    page.address_.id = static_cast<uint64_t>(getpid());
  }
  id_of(page.memory_) = page.address_.id;
  return page;
}

SharedPage SharedPage::open(const Address& address) {
  SharedPage page;
  page.address_ = address;
  const std::string path = fmt::format("/proc/{}/fd/{}", address.process, address.file);
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return page;
  struct stat info {};
  if (fstat(file, &info) == 0 && static_cast<uint64_t>(info.st_size) == kHead + address.bytes) {
    page.memory_ = map(file, address.bytes);
    if (page.memory_ && id_of(page.memory_) != address.id) page.memory_.reset();
  }
  close(file);
  return page;
}

SharedPage& SharedPage::operator=(SharedPage&& other) noexcept {
  forget();
  address_ = other.address_;
  created_ = std::exchange(other.created_, false);
  memory_ = std::move(other.memory_);
  return *this;
}

void SharedPage::forget() {
  if (std::exchange(created_, false)) close(address_.file);
}

}  // namespace heddle
