#include "framework/comm/shared_page.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace heddle {
namespace {

TEST(SharedPage, AnotherProcessSeesWhatIsWritten) {
  SharedPage page = SharedPage::create(100);
  auto* mine = static_cast<volatile char*>(page.memory().get());
  EXPECT_EQ(mine[99], 0);
  mine[0] = 'a';
  const pid_t child = fork();
  if (child == 0) {
    const SharedPage same = SharedPage::open(page.address());
    if (!same.memory()) _exit(1);
    auto* theirs = static_cast<volatile char*>(same.memory().get());
    if (theirs[0] != 'a') _exit(2);
    theirs[1] = 'b';
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(mine[1], 'b');
}

// Whether any of this process's memory is shared on huge pages.
bool has_shared_huge_pages() {
  std::ifstream file("/proc/self/smaps");
  int64_t kib = 0;
  for (std::string word; file >> word;) {
    if (word == "ShmemPmdMapped:" && file >> kib && kib > 0) return true;
  }
  return false;
}

TEST(SharedPage, MuchMemoryIsSharedOnHugePages) {
  const size_t bytes = size_t{5} << 20;
  SharedPage page = SharedPage::create(bytes);
  auto* mine = static_cast<char*>(page.memory().get());
  for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(mine[i], 0) << i;
  SharedPage same = SharedPage::open(page.address());
  auto* theirs = static_cast<char*>(same.memory().get());
  ASSERT_NE(theirs, nullptr);
  mine[bytes - 1] = 'a';
  EXPECT_EQ(theirs[bytes - 1], 'a');
  if (!has_shared_huge_pages()) GTEST_SKIP() << "this system has no huge pages for files";
  page = SharedPage();
  EXPECT_TRUE(has_shared_huge_pages()) << "the one who opened it has small pages";
}

TEST(SharedPage, WhatIsNotThatPageIsNotOpened) {
  SharedPage page = SharedPage::create(100);
  SharedPage::Address other = page.address();
  other.id += 1;
  EXPECT_FALSE(SharedPage::open(other).memory());
  other = page.address();
  other.bytes = 200;
  EXPECT_FALSE(SharedPage::open(other).memory());
  page.forget();
  EXPECT_FALSE(SharedPage::open(page.address()).memory());
  EXPECT_TRUE(page.memory());
}

}  // namespace
}  // namespace heddle
