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
constexpr size_t kHugePage = size_t{2} << 20;
#ifndef MADV_COLLAPSE  // of Linux 6.1, which newer headers know
#define MADV_COLLAPSE 25
#endif

// Of the file: whole huge pages, if it fills one.
size_t extent(size_t bytes) {
  const size_t page = kHead + bytes < kHugePage ? 1 : kHugePage;
  return (kHead + bytes + page - 1) / page * page;
}

std::shared_ptr<void> map(int file, size_t bytes) {
  const size_t size = extent(bytes);
  // Huge pages of the file are mapped as such only where they lie on borders of the memory too.
  const size_t room = size + (size < kHugePage ? 0 : kHugePage);
  void* reserved = mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  const std::shared_ptr<void> whole(reserved, [room](void* p) { munmap(p, room); });
  auto* start = static_cast<char*>(reserved);
  if (room > size) start += -reinterpret_cast<uintptr_t>(start) % kHugePage;
  if (mmap(start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
    return nullptr;
  }
  return {whole, start + kHead};
}

// Makes the memory huge pages, taken near this core. Unlike advice before the first touch this
// works for files without a setting of the system; where it does not, the pages stay small.
void make_huge(char* start, size_t size) {
  for (size_t at = 0; at < size; at += kHugePage) static_cast<volatile char*>(start)[at] = 0;
  madvise(start, size, MADV_COLLAPSE);
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
  if (ftruncate(page.address_.file, static_cast<off_t>(extent(bytes))) != 0) return page;
  page.memory_ = map(page.address_.file, bytes);
  if (!page.memory_) return page;
  auto* start = static_cast<char*>(page.memory_.get()) - kHead;
  if (extent(bytes) >= kHugePage) make_huge(start, extent(bytes));
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
  if (fstat(file, &info) == 0 && static_cast<uint64_t>(info.st_size) == extent(address.bytes)) {
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
