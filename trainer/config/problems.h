// The mistakes of a config, collected so that a person sees all of them at once, and the places
// where its keys were written.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace heddle {

class Problems {
 public:
  // `name`: the file, for mistakes without a line.
  explicit Problems(std::string name) : name_(std::move(name)) {}

  // Remembers that the key `path`, such as "optimizer.lr", was written at `where`.
  void locate(const std::string& path, const std::string& where) { places_[path] = where; }

  // A mistake at `where`, "FILE:LINE" or "--set KEY".
  void add(const std::string& where, const std::string& what);
  // A mistake where the key `path` was written; if it was not, where its section or the file
  // begins.
  void add_at(std::string path, const std::string& what);

  bool empty() const { return found_.empty(); }
  // Throws Error(kInput) with one line for each mistake, in the order of the file and those of
  // the command line last, if there is any.
  void throw_if_any() const;

 private:
  std::string name_;
  std::map<std::string, std::string> places_;
  std::vector<std::pair<std::int64_t, std::string>> found_;  // with their line
};

}  // namespace heddle
