// Where special tokens go around one sequence or a pair, as `TemplateProcessing` says it:
//
//   [CLS] A [SEP]            type 0
//   [CLS] A [SEP] B [SEP]    type 0 up to the first [SEP], then 1
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace heddle {

struct TemplateItem {
  enum class Kind { kSpecial, kFirst, kSecond };
  Kind kind = Kind::kSpecial;
  uint8_t type_id = 0;
  std::vector<int32_t> ids;  // of a special token
};

struct Template {
  std::vector<TemplateItem> single;
  std::vector<TemplateItem> pair;

  const std::vector<TemplateItem>& items(bool is_pair) const { return is_pair ? pair : single; }
  int added(bool is_pair) const;  // number of special tokens

  // No special tokens: A, or A then B with type 1.
  static Template plain();
  // [CLS] A [SEP] and [CLS] A [SEP] B [SEP].
  static Template bert(int32_t cls, int32_t sep);
};

}  // namespace heddle
