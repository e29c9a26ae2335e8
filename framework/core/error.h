// What can go wrong, and what the program answers to it.
//
//   check(x.ndim() == 2, "[linear] x has shape {}. Expected [T, in].", x.shape());
//   throw Error(ExitCode::kInput, "configs/sst2.yaml:14: unknown key 'learing_rate'",
//               "did you mean 'learning_rate'?");
//
// `check` is for a caller's mistake: std::invalid_argument. `Error` is for the outside world: a
// file, a library, a person's input. Libraries throw and never print; the launcher catches in one
// place.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace heddle {

// Exit codes of the program.
enum class ExitCode : int {
  kDone = 0,
  kInput = 64,      // bad input, configuration or use
  kNoData = 65,     // no valid checkpoint or data
  kInternal = 70,   // a mistake of ours
  kIo = 74,         // a file system or network refused
  kRequeue = 75,    // saved on a signal; start again to go on
  kWatchdog = 124,  // a rank hung
};

class Error : public std::runtime_error {
 public:
  // `what` says what happened and where; `hint`, if not empty, what to do about it.
  Error(ExitCode code, const std::string& what, std::string hint = "")
      : std::runtime_error(what), code_(code), hint_(std::move(hint)) {}

  ExitCode code() const { return code_; }
  const std::string& hint() const { return hint_; }

 private:
  ExitCode code_;
  std::string hint_;
};

// Throws std::invalid_argument with the formatted message unless `condition` holds.
template <typename... Args>
void check(bool condition, fmt::format_string<Args...> message, Args&&... args) {
  if (!condition) [[unlikely]] {
    throw std::invalid_argument(fmt::format(message, std::forward<Args>(args)...));
  }
}

}  // namespace heddle
