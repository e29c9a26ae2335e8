// A tokenizer against recorded answers of the reference implementation.
//
//   CheckResult result = check_cases(*load_tokenizer(folder), folder + "/cases.json");
//   -> result.cases == 296, result.failed == 0
//
// A file of cases: {"vocab_size": n, "pad_token_id": n, "cases": [case, ...], ...}. A case has
// `text`, `text_pair` (an empty one counts as absent), `options` (add_special_tokens, truncation,
// max_length, truncation_side, stride, padding, padding_side, pad_to_multiple_of) and either
// `error` or `ids`, `type_ids` (absent: all 0), `attention_mask` (absent: all 1), `offsets`
// (absent: not compared), `windows` (if `stride` is given: further encodings), `decoded`,
// `decoded_skip`.
#pragma once

#include <string>
#include <vector>

#include "models/tokenizers/tokenizer.h"

namespace heddle {

struct CaseMismatch {
  size_t number = 0;     // of the case, from 0
  std::string field;     // "ids", "windows[2].offsets", ...
  std::string text;      // of the case, quoted, with the pair and the options
  std::string expected;  // from the first place that differs
  std::string got;

  std::string describe() const;  // all of it, for a person
};

struct CheckResult {
  size_t cases = 0;
  size_t failed = 0;
  std::vector<CaseMismatch> mismatches;  // one for each failed case, at most `most_shown`
};

// Runs every case. Both `encode` and `encode_ids` must give the ids. Throws Error(kInput) if the
// file is missing or has another form.
CheckResult check_cases(const Tokenizer& tokenizer, const std::string& path,
                        size_t most_shown = 10);

}  // namespace heddle
