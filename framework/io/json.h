// JSON for the whole project, and the only way to nlohmann-json.
//
//   PosixFileSystem files;
//   Json document = read_json(files, "model/config.json");
//   JsonView config(document, "model/config.json");
//   int64_t width = config["hidden_size"].integer(1);
//   double epsilon = config.get_or("layer_norm_eps", 1e-12);
//   // Error(kInput): "model/config.json: 'hidden_size' is a string ("x"). Expected a whole number
//   // of at least 1."
//
// Parsing is strict: no duplicate keys, no comments, UTF-8 only, limited depth and size. A mistake
// in the text throws Error(kInput) with "NAME:LINE:COLUMN: ...".
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "framework/core/error.h"
#include "framework/io/file_system.h"

namespace heddle {

using Json = nlohmann::json;

struct JsonLimits {
  uint64_t bytes = uint64_t{256} << 20;
  int depth = 64;
};

// `name` stands for the text in messages: a path, or what the text is.
Json parse_json(std::string_view text, const std::string& name, const JsonLimits& limits = {});
Json read_json(FileSystem& files, const std::string& path, const JsonLimits& limits = {});

// Text of `value`; `indent` < 0 puts all on one line. Keys are sorted, so equal values give equal
// text. Throws Error(kInput) if a string in it is not UTF-8.
std::string dump_json(const Json& value, int indent = -1);

// A value in a document and the way to it, so that a message can name it. Does not own the
// document. Every getter throws Error(kInput) "NAME: 'a.b[3]' is ... Expected ...".
class JsonView {
 public:
  JsonView(const Json& document, std::string name) : value_(&document), name_(std::move(name)) {}

  const Json& raw() const { return *value_; }
  const std::string& name() const { return name_; }  // of the document
  const std::string& path() const { return path_; }  // "" for the document itself

  bool is_null() const { return value_->is_null(); }
  bool is_object() const { return value_->is_object(); }
  bool is_array() const { return value_->is_array(); }
  bool is_string() const { return value_->is_string(); }
  bool is_number() const { return value_->is_number(); }
  bool is_boolean() const { return value_->is_boolean(); }

  // Members of an object.
  bool has(std::string_view key) const;             // false for null too, as config.json means it
  JsonView operator[](std::string_view key) const;  // must be there
  std::vector<std::string> keys() const;            // sorted
  void allow_only(std::span<const std::string> known) const;  // refuses any other key

  // Elements of an array (`size` also counts an object's members).
  size_t size() const;
  JsonView at(size_t index) const;

  bool boolean() const;
  int64_t integer(int64_t least = std::numeric_limits<int64_t>::min(),
                  int64_t most = std::numeric_limits<int64_t>::max()) const;
  double number() const;
  const std::string& string() const;
  std::vector<int64_t> integers(int64_t least = std::numeric_limits<int64_t>::min()) const;
  std::vector<std::string> strings() const;

  // bool, an integer type, double, float or std::string; integers must fit.
  template <typename T>
  T as() const;
  template <typename T>
  T get(std::string_view key) const {
    return (*this)[key].as<T>();
  }
  // `otherwise` if the key is not there or null.
  template <typename T>
  T get_or(std::string_view key, T otherwise) const {
    return has(key) ? (*this)[key].as<T>() : otherwise;
  }
  std::string get_or(std::string_view key, const char* otherwise) const {
    return get_or(key, std::string(otherwise));
  }

  // The error of this place: Error(kInput, "NAME: 'path' <what>").
  Error error(std::string_view what, std::string hint = "") const;

 private:
  JsonView child(const Json& value, std::string path) const;
  Error wrong_type(std::string_view expected) const;

  const Json* value_;
  std::string name_;
  std::string path_;
};

template <typename T>
T JsonView::as() const {
  if constexpr (std::is_same_v<T, bool>) {
    return boolean();
  } else if constexpr (std::is_integral_v<T>) {
    constexpr int64_t least = std::is_unsigned_v<T> ? 0 : int64_t{std::numeric_limits<T>::min()};
    constexpr bool fits = sizeof(T) < sizeof(int64_t);
    constexpr int64_t most = fits ? static_cast<int64_t>(std::numeric_limits<T>::max())
                                  : std::numeric_limits<int64_t>::max();
    return static_cast<T>(integer(least, most));
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(number());
  } else {
    static_assert(std::is_same_v<T, std::string>, "no JSON getter for this type");
    return string();
  }
}

}  // namespace heddle
