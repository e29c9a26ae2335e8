#include "framework/comm/shared_page.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

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
