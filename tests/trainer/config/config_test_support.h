// The smallest config there is, and what is said about one that is wrong.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "framework/core/error.h"
#include "trainer/config/yaml.h"

namespace heddle {

// Three lines that every config needs: a test adds its own after them, from line 4 on.
inline constexpr const char* kNeeded =
    "output: runs/a\n"
    "model: {from: minilm}\n"
    "data: {train: a.tsv}\n";

// What the Error for `text` as "a.yaml" says, or "" if there is none. It is always an input error.
inline std::string message_for(const std::string& text,
                               const std::vector<std::string>& assignments = {}) {
  try {
    parse_config(text, "a.yaml", assignments);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    return std::string(error.what()) + "\n" + error.hint();
  }
  return "";
}

// The same for lines after those that are needed.
inline std::string message_for_lines(const std::string& lines,
                                     const std::vector<std::string>& assignments = {}) {
  return message_for(kNeeded + lines, assignments);
}

inline Config config_of_lines(const std::string& lines,
                              const std::vector<std::string>& assignments = {}) {
  return parse_config(kNeeded + lines, "a.yaml", assignments);
}

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

#define EXPECT_SAYS(message, part) EXPECT_TRUE(has(message, part)) << (message)

}  // namespace heddle
