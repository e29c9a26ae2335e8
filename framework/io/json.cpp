#include "framework/io/json.h"

#include <algorithm>
#include <cmath>

#include "framework/core/nearest_name.h"

namespace heddle {

namespace {

// Walks over the text and notes how far the parser has come, so that an event has a position.
class CountingIterator {
 public:
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char*;
  using reference = const char&;
  using iterator_category = std::input_iterator_tag;

  CountingIterator(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** reached_;
};

// "NAME:LINE:COLUMN", counting from 1; a column is a byte.
std::string position(const std::string& name, std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t newline = before.rfind('\n');
  const size_t column = newline == std::string_view::npos ? offset + 1 : offset - newline;
  return fmt::format("{}:{}:{}", name, line, column);
}

// What nlohmann-json says, without its own number and position: "[json.exception.parse_error.101]
// parse error at line 1, column 2: syntax error ..." -> "syntax error ...".
std::string reason(std::string_view what) {
  const std::string_view marker = what.find("parse error at") != what.npos ? ": " : "] ";
  const size_t at = what.find(marker);
  return std::string(at == what.npos ? what : what.substr(at + marker.size()));
}

// Builds the document from the parser's events; refuses duplicate keys and deep nesting.
class DocumentBuilder {
 public:
  DocumentBuilder(std::string_view text, const std::string& name, int depth, const char** reached)
      : text_(text), name_(name), depth_(depth), reached_(reached) {}

  Json take() { return std::move(root_); }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(int64_t value) { return add(value); }
  bool number_unsigned(uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }  // JSON text has none

  bool start_object(size_t) { return open(Json::object()); }
  bool start_array(size_t) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& key) {
    auto [place, is_new] = open_.back()->get_ref<Json::object_t&>().emplace(key, nullptr);
    if (!is_new) fail(fmt::format("duplicate key '{}'", key));
    member_ = &place->second;
    return true;
  }

  bool parse_error(size_t byte, const std::string&, const Json::exception& error) {
    // For a syntax error `byte` counts the bytes read; the offending one is the last of them.
    throw Error(ExitCode::kInput,
                fmt::format("{}: {}", position(name_, text_, byte > 0 ? byte - 1 : 0),
                            reason(error.what())));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    const auto offset = static_cast<size_t>(*reached_ - text_.data());
    throw Error(ExitCode::kInput,
                fmt::format("{}: {}", position(name_, text_, offset > 0 ? offset - 1 : 0), what));
  }

  Json* place(Json&& value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      return &open_.back()->get_ref<Json::array_t&>().emplace_back(std::move(value));
    }
    *member_ = std::move(value);
    return member_;
  }

  bool add(Json&& value) {
    place(std::move(value));
    return true;
  }

  bool open(Json&& container) {
    if (static_cast<int>(open_.size()) >= depth_) {
      fail(fmt::format("nested deeper than {} levels", depth_));
    }
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  const std::string& name_;
  int depth_;
  const char** reached_;
  Json root_;
  // Containers that are still open. Their addresses hold: an array grows only while it is
  // innermost.
  std::vector<Json*> open_;
  Json* member_ = nullptr;
};

std::string_view type_phrase(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "a boolean";
    default:
      return "a number";
  }
}

// A short value as it was written, "" for containers.
std::string shown(const Json& value) {
  if (value.is_structured() || value.is_null()) return "";
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  constexpr size_t kMost = 60;
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return fmt::format(" ({})", text);
}

}  // namespace

Json parse_json(std::string_view text, const std::string& name, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    throw Error(ExitCode::kInput, fmt::format("{}: JSON text of {} bytes. Expected at most {}.",
                                              name, text.size(), limits.bytes));
  }
  const char* reached = text.data();
  DocumentBuilder builder(text, name, limits.depth, &reached);
  Json::sax_parse(CountingIterator(text.data(), &reached),
                  CountingIterator(text.data() + text.size(), &reached), &builder);
  return builder.take();
}

Json read_json(FileSystem& files, const std::string& path, const JsonLimits& limits) {
  return parse_json(read_file(files, path, limits.bytes), path, limits);
}

std::string dump_json(const Json& value, int indent) {
  try {
    return value.dump(indent);
  } catch (const Json::exception& error) {
    throw Error(ExitCode::kInput, fmt::format("cannot write JSON: {}", reason(error.what())));
  }
}

Error JsonView::error(std::string_view what, std::string hint) const {
  const std::string where = path_.empty() ? "the document" : fmt::format("'{}'", path_);
  return Error(ExitCode::kInput, fmt::format("{}: {} {}", name_, where, what), std::move(hint));
}

Error JsonView::wrong_type(std::string_view expected) const {
  return error(
      fmt::format("is {}{}. Expected {}.", type_phrase(*value_), shown(*value_), expected));
}

JsonView JsonView::child(const Json& value, std::string path) const {
  JsonView view(value, name_);
  view.path_ = std::move(path);
  return view;
}

bool JsonView::has(std::string_view key) const {
  if (!value_->is_object()) throw wrong_type("an object");
  const auto member = value_->find(key);
  return member != value_->end() && !member->is_null();
}

JsonView JsonView::operator[](std::string_view key) const {
  if (!value_->is_object()) throw wrong_type("an object");
  const auto member = value_->find(key);
  if (member == value_->end()) {
    const std::vector<std::string> known = keys();
    throw error(fmt::format("has no key '{}'", key), did_you_mean(key, known));
  }
  return child(*member, path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
}

std::vector<std::string> JsonView::keys() const {
  if (!value_->is_object()) throw wrong_type("an object");
  std::vector<std::string> names;
  for (const auto& [key, member] : value_->items()) names.push_back(key);
  return names;
}

void JsonView::allow_only(std::span<const std::string> known) const {
  for (const std::string& key : keys()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw error(fmt::format("has an unknown key '{}'", key), did_you_mean(key, known));
    }
  }
}

size_t JsonView::size() const {
  if (!value_->is_structured()) throw wrong_type("an array");
  return value_->size();
}

JsonView JsonView::at(size_t index) const {
  if (!value_->is_array()) throw wrong_type("an array");
  if (index >= value_->size()) {
    throw error(fmt::format("has {} elements; there is no [{}]", value_->size(), index));
  }
  return child((*value_)[index], fmt::format("{}[{}]", path_, index));
}

bool JsonView::boolean() const {
  if (!value_->is_boolean()) throw wrong_type("true or false");
  return value_->get<bool>();
}

int64_t JsonView::integer(int64_t least, int64_t most) const {
  const auto out_of_range = [&] {
    if (most == std::numeric_limits<int64_t>::max()) {
      return error(fmt::format("is{}. Expected at least {}.", shown(*value_), least));
    }
    return error(fmt::format("is{}. Expected {} to {}.", shown(*value_), least, most));
  };
  int64_t value = 0;
  if (value_->is_number_unsigned()) {
    const auto wide = value_->get<uint64_t>();
    if (wide > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) throw out_of_range();
    value = static_cast<int64_t>(wide);
  } else if (value_->is_number_integer()) {
    value = value_->get<int64_t>();
  } else if (value_->is_number_float() && std::abs(value_->get<double>()) <= 0x1p53 &&
             std::trunc(value_->get<double>()) == value_->get<double>()) {
    value = static_cast<int64_t>(value_->get<double>());  // 512.0, as some writers have it
  } else {
    throw wrong_type("a whole number");
  }
  if (value < least || value > most) throw out_of_range();
  return value;
}

double JsonView::number() const {
  if (!value_->is_number()) throw wrong_type("a number");
  return value_->get<double>();
}

const std::string& JsonView::string() const {
  if (!value_->is_string()) throw wrong_type("a string");
  return value_->get_ref<const std::string&>();
}

std::vector<int64_t> JsonView::integers(int64_t least) const {
  if (!value_->is_array()) throw wrong_type("an array of whole numbers");
  std::vector<int64_t> values;
  for (size_t i = 0; i < value_->size(); ++i) values.push_back(at(i).integer(least));
  return values;
}

std::vector<std::string> JsonView::strings() const {
  if (!value_->is_array()) throw wrong_type("an array of strings");
  std::vector<std::string> values;
  for (size_t i = 0; i < value_->size(); ++i) values.push_back(at(i).string());
  return values;
}

}  // namespace heddle
