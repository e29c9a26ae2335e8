// One mistake at the command line, and what the program must answer.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace heddle {

struct Mistake {
  std::string name;               // of the test
  std::string arguments;          // of heddle; FOLDER stands for the tiny model's folder
  int code;                       // exit code
  std::vector<std::string> told;  // fragments of standard error, each there exactly once
};

inline void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.arguments;
}

// Runs it alone and on two ranks.
class ErrorTest : public testing::TestWithParam<Mistake> {
 protected:
  static void SetUpTestSuite();
};

std::string name_of_mistake(const testing::TestParamInfo<Mistake>& info);

}  // namespace heddle
