// What the labels of a task are called, and how a field is read as one.
//
//   LabelSet labels({"negative", "positive"});
//   labels.index_of("positive");            // 1
//   labels.index_of("positiv");             // Error: unknown label 'positiv'; did you mean ...
//   int32_t label = parse_label_index(row, column, labels);      // Error with FILE:LINE
//
// Labels are names, also where they look like numbers. Spaces around a name do not count.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "datasets/row_reader.h"

namespace heddle {

enum class LabelKind {
  kNone,
  kIndex,     // one label of a set: i32
  kMultiHot,  // any of a set, "a|b" or ["a", "b"]: one f32 a label, 0 or 1; an empty field is none
  kNumbers,   // numbers to regress to, "0.5", "0.5|1" or [0.5, 1]: f32
};

class LabelSet {
 public:
  LabelSet() = default;
  // Throws Error (kInput) if a name is empty or there twice.
  explicit LabelSet(std::vector<std::string> names);

  int64_t size() const { return static_cast<int64_t>(names_.size()); }
  const std::vector<std::string>& names() const { return names_; }
  const std::string& name(int64_t index) const { return names_.at(static_cast<size_t>(index)); }

  // The index of `name`. Where all names are LABEL_0, LABEL_1, ..., as a model without names of its
  // own has them, the number alone will do.
  std::optional<int32_t> find(std::string_view name) const;
  // The same; throws Error (kInput) with the nearest name for one that is not there.
  int32_t index_of(std::string_view name) const;
  // "did you mean 'X'?" or "known: ...", and the advice behind it if there is one.
  std::string hint_for(std::string_view name) const;
  // What else to do about a label that is not there.
  void set_advice(std::string advice) { advice_ = std::move(advice); }

  // Whether all names are LABEL_0, LABEL_1, ...: they say nothing about a task.
  bool generic() const { return generic_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  std::vector<std::string> names_;
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> indices_;
  bool generic_ = false;
  std::string advice_;
};

// Sorts names as labels are numbered: by value when all are whole numbers, else by their bytes.
void sort_label_names(std::vector<std::string>& names);

// A field as one label, several, or numbers. Throw RowError: an empty field, an unknown label, what
// is no finite number, another count of numbers than `out` has room for.
int32_t parse_label_index(const Row& row, size_t column, const LabelSet& labels);
void parse_multi_hot(const Row& row, size_t column, const LabelSet& labels, std::span<float> out);
void parse_numbers(const Row& row, size_t column, std::span<float> out);

// The name in a field of one; "" if there is none.
std::string_view label_name(const Row& row, size_t column);
// The names in a field of several: "a|b" or ["a", "b"]. Throws RowError for a broken array.
std::vector<std::string> label_names(const Row& row, size_t column);

// `text` without spaces around it.
std::string_view trim(std::string_view text);

}  // namespace heddle
