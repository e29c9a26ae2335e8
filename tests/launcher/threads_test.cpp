#include <gtest/gtest.h>

#include <string>

#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

// What `train` says of the threads of a run whose file asks for three.
std::string told(const std::string& name, const std::string& options) {
  const TinyModel& tiny = tiny_model();
  const Outcome outcome = run_heddle(
      "train " + tiny.config + " --set threads=3 --set output=" + (tiny / name) + " " + options);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome.err;
}

TEST(Threads, AreAsManyAsTheFileSays) {
  EXPECT_NE(told("three", "").find("3 threads each"), std::string::npos);
}

TEST(Threads, OfTheCommandLineWinOverTheFile) {
  EXPECT_NE(told("two", "--threads 2").find("2 threads each"), std::string::npos);
}

}  // namespace
}  // namespace heddle
