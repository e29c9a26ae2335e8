// What a config struct says about one of its keys besides its name and place:
//
//   template <class F>
//   void visit(F& f) {
//     f("lr", lr, Field("peak learning rate").above(0).at_most(10).unit("per step"));
//   }
//
// One line gives parsing with checks, documentation, writing back and comparison.
#pragma once

#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace heddle {

struct Field {
  // `meaning`: a phrase in lower case, without a full stop at its end.
  Field(const char* meaning) : meaning(meaning) {}  // NOLINT: a bare phrase is a field

  // Bounds of a number, or of each number of a list.
  Field& at_least(double value) { return minimum = value, *this; }
  Field& at_most(double value) { return maximum = value, *this; }
  Field& above(double value) { return minimum = value, minimum_open = true, *this; }
  Field& below(double value) { return maximum = value, maximum_open = true, *this; }
  // The words that a text may be.
  Field& one_of(std::vector<std::string> words) { return choices = std::move(words), *this; }
  // Further values, which a later version will know: refused with "not yet".
  Field& planned(std::vector<std::string> values) { return later = std::move(values), *this; }
  Field& unit(std::string name) { return unit_name = std::move(name), *this; }
  // The word that stands for an empty std::optional; `~` does in any case.
  Field& empty_word(std::string word) { return empty = std::move(word), *this; }
  Field& length(size_t items) { return list_length = items, *this; }
  // A value alone stands for a list of one.
  Field& or_one() { return one_for_list = true, *this; }
  Field& required() { return is_required = true, *this; }
  // What `describe` writes where a default would not make a valid file.
  Field& example(std::string text) { return shown = std::move(text), *this; }
  // Other programs' names for it, for a better "did you mean".
  Field& also_called(std::vector<std::string> names) { return aliases = std::move(names), *this; }
  // A change of it changes neither losses nor weights: a run may go on under another value.
  Field& harmless() { return changes_numbers = false, *this; }

  std::string meaning;
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  bool minimum_open = false;
  bool maximum_open = false;
  std::vector<std::string> choices;
  std::vector<std::string> later;
  std::string unit_name;
  std::string empty = "~";
  size_t list_length = 0;  // 0: any
  bool one_for_list = false;
  bool is_required = false;
  std::string shown;
  std::vector<std::string> aliases;
  bool changes_numbers = true;

  // "from 1 to 8", "at least 0 and below 1", "" without bounds.
  std::string range_text() const;
  bool contains(double value) const;
};

}  // namespace heddle
