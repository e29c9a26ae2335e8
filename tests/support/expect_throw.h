// Expectations on exceptions: the type, a distinctive fragment of the message, the exit code.
//
//   EXPECT_INVALID(softmax(scalar), "[softmax]");
//   EXPECT_HEDDLE_ERROR(read(path), ExitCode::kIo, "no such file");
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "framework/core/error.h"

#define EXPECT_INVALID(statement, fragment)                                         \
  try {                                                                             \
    statement;                                                                      \
    ADD_FAILURE() << #statement << " did not throw";                                \
  } catch (const std::invalid_argument& e) {                                        \
    EXPECT_NE(std::string(e.what()).find(fragment), std::string::npos) << e.what(); \
  }

#define EXPECT_HEDDLE_ERROR(statement, exit_code, fragment)                         \
  try {                                                                             \
    statement;                                                                      \
    ADD_FAILURE() << #statement << " did not throw";                                \
  } catch (const ::heddle::Error& e) {                                              \
    EXPECT_NE(std::string(e.what()).find(fragment), std::string::npos) << e.what(); \
    EXPECT_EQ(e.code(), exit_code);                                                 \
  }
