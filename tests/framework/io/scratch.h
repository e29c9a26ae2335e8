// What the tests of this folder share: a directory of their own, and what an error says.
#pragma once

#include <gtest/gtest.h>

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "framework/core/error.h"

namespace heddle {

// A fresh directory, removed at the end.
class Scratch {
 public:
  Scratch() {
    static std::atomic<int> count{0};
    path_ = fmt::format("{}heddle-io-{}-{}", testing::TempDir(), ::getpid(), count++);
    std::filesystem::create_directories(path_);
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::string& path() const { return path_; }
  std::string path(std::string_view name) const { return fmt::format("{}/{}", path_, name); }
  // Writes a file and returns its path.
  std::string write(std::string_view name, std::string_view content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }

 private:
  std::string path_;
};

inline bool has(std::string_view text, std::string_view part) {
  if (text.find(part) != std::string_view::npos) return true;
  fmt::print(stderr, "'{}'\n  does not contain '{}'\n", text, part);
  return false;
}

// The message of the exception that `body` throws, or "no error".
template <typename Body>
std::string error_text(Body&& body) {
  try {
    body();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

template <typename Body>
std::string error_hint(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.hint();
  }
  return "no error";
}

template <typename Body>
ExitCode exit_code(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return ExitCode::kDone;
}

}  // namespace heddle
