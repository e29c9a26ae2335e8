// The part of a run's config that says what it is trained on. See schema.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trainer/config/field.h"

namespace heddle {

// Files with one meaning of their columns. In a config that was read, `text`, `label` and `header`
// are set, and validation and test have taken the columns of train where they name none.
struct DataFileConfig {
  // A value that is not a mapping stands for this key: `validation: dev.tsv`.
  static constexpr const char* kShorthand = "path";

  std::vector<std::string> path;
  std::optional<std::string> text;
  std::optional<std::string> pair;
  std::optional<std::string> label;
  std::optional<bool> header;

  template <class F>
  void visit(F& f) {
    f("path", path,
      Field("files, * for any letters; .tsv, .csv, .jsonl or .txt, plain or .gz or .zst")
          .or_one()
          .required()
          .example("[data/train-*.tsv]")
          .also_called({"file", "files", "paths"}));
    f("text", text,
      Field("column of the text, by name or by number from 0; 'text' if not given")
          .example("text")
          .also_called({"text_column", "sentence", "sentence1"}));
    f("pair", pair,
      Field("column of a second text; ~: there is none")
          .also_called({"text_pair", "second", "sentence2"}));
    f("label", label,
      Field("column of the label; 'label' if not given")
          .example("label")
          .also_called({"label_column", "labels"}));
    f("header", header,
      Field("whether the first line names the columns; auto: unless all columns are numbers")
          .empty_word("auto"));
  }
  bool operator==(const DataFileConfig&) const = default;
};

struct DataConfig {
  DataFileConfig train;
  std::optional<DataFileConfig> validation;
  std::optional<DataFileConfig> test;
  std::int64_t max_length = 128;
  std::string truncation = "longest_first";
  std::int64_t stride = 0;
  std::int64_t skip_bad = 0;

  template <class F>
  void visit(F& f) {
    f("train", train, Field("rows to learn from").also_called({"training"}));
    f("validation", validation,
      Field("rows to choose by; a path alone takes the columns of train")
          .also_called({"dev", "valid", "eval", "evaluation"}));
    f("test", test,
      Field("rows that are evaluated once, at the end, with the best weights").harmless());
    f("max_length", max_length,
      Field("longest sequence; the rest of a text is cut off")
          .at_least(3)
          .at_most(1 << 20)
          .unit("tokens")
          .also_called({"max_seq_length", "max_len"}));
    f("truncation", truncation,
      Field("which text of a pair is cut").one_of({"longest_first", "only_first", "only_second"}));
    f("stride", stride,
      Field("above 0: a long text becomes several windows that share this many tokens, and "
            "scores are averaged at prediction")
          .at_least(0)
          .at_most(1 << 20)
          .unit("tokens"));
    f("skip_bad", skip_bad,
      Field("broken rows that are left out and listed before the run is refused")
          .at_least(0)
          .unit("rows"));
  }
  bool operator==(const DataConfig&) const = default;
};

}  // namespace heddle
