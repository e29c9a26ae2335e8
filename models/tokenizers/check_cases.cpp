#include "models/tokenizers/check_cases.h"

#include <algorithm>

#include "framework/core/error.h"
#include "framework/io/json.h"
#include "models/tokenizers/padding.h"

namespace heddle {

namespace {

struct Options {
  EncodeOptions encode;
  bool pads = false;
  Padding padding;
};

Options read_options(const JsonView& view, int32_t pad_id) {
  static const std::vector<std::string> kKnown = {
      "add_special_tokens", "max_length", "pad_to_multiple_of", "padding",
      "padding_side",       "stride",     "truncation",         "truncation_side"};
  view.allow_only(kKnown);
  const auto side = [&](const char* key) {
    const std::string name = view.get_or(key, "right");
    if (name != "left" && name != "right") throw view[key].error("is neither 'left' nor 'right'");
    return name == "left" ? Side::kLeft : Side::kRight;
  };
  Options options;
  options.encode.offsets = true;
  options.encode.add_special_tokens = view.get_or("add_special_tokens", true);
  const int max_length = view.get_or("max_length", 0);
  if (view.has("truncation")) {
    const JsonView truncation = view["truncation"];
    const std::string name = truncation.is_boolean()
                                 ? std::string(truncation.boolean() ? "longest_first" : "")
                                 : truncation.string();
    if (name == "only_first") {
      options.encode.truncation = Truncation::kOnlyFirst;
    } else if (name == "only_second") {
      options.encode.truncation = Truncation::kOnlySecond;
    } else if (name != "longest_first" && !name.empty()) {
      throw truncation.error("is not known", "known: longest_first, only_first, only_second");
    }
    options.encode.max_length = name.empty() ? 0 : max_length;
  }
  options.encode.truncation_side = side("truncation_side");
  options.encode.windows = view.has("stride");
  options.encode.stride = view.get_or("stride", 0);
  options.pads = view.has("padding");
  if (options.pads) {
    const std::string kind = view.get<std::string>("padding");
    if (kind != "max_length" && kind != "longest") {
      throw view["padding"].error("is neither 'max_length' nor 'longest'");
    }
    options.padding.length = kind == "max_length" ? max_length : 0;
    options.padding.multiple_of = view.get_or("pad_to_multiple_of", 1);
    options.padding.side = side("padding_side");
    options.padding.id = pad_id;
  }
  return options;
}

std::string show(const TextRange& range) {
  return fmt::format("[{},{}]", range.begin, range.end);
}
template <typename Number>
std::string show(const Number& number) {
  return fmt::format("{}", number);
}

// A few values from `begin` on.
template <typename Value>
std::string show_from(const std::vector<Value>& values, size_t begin) {
  std::string shown = fmt::format("[{}..]", begin);
  for (size_t i = begin; i < std::min(values.size(), begin + 8); ++i) {
    shown += fmt::format(" {}", show(values[i]));
  }
  return fmt::format("{} ({} in all)", shown, values.size());
}

std::vector<TextRange> read_ranges(const JsonView& view) {
  std::vector<TextRange> ranges;
  for (size_t i = 0; i < view.size(); ++i) {
    const JsonView range = view.at(i);
    ranges.push_back({range.at(0).as<uint32_t>(), range.at(1).as<uint32_t>()});
  }
  return ranges;
}

// Finds the first difference of one case.
class CaseCheck {
 public:
  CaseCheck(const Tokenizer& tokenizer, const JsonView& view, TokenizerScratch& scratch)
      : tokenizer_(tokenizer), view_(view), scratch_(scratch) {
    if (view.has("text_pair") && !view["text_pair"].string().empty()) {
      pair_ = view["text_pair"].string();
    }
  }

  // True if all is equal, else `mismatch` says what is not.
  bool run(int32_t pad_id, CaseMismatch& mismatch) {
    const std::string text = view_.get<std::string>("text");
    const Options options = read_options(view_["options"], pad_id);
    mismatch_ = &mismatch;
    mismatch.text = dump_json(Json(text));
    if (pair_.has_value()) mismatch.text += fmt::format(" + {}", dump_json(Json(*pair_)));
    mismatch.text += fmt::format(" {}", dump_json(view_["options"].raw()));
    std::vector<Encoding> encodings;
    std::vector<int32_t> fast;
    try {
      encodings = tokenizer_.encode(text, pair_, options.encode);
      tokenizer_.encode_ids(text, pair_, options.encode, scratch_, fast);
    } catch (const Error& error) {
      return view_.has("error") || differs("error", "none", error.what());
    }
    if (view_.has("error")) return differs("error", view_.get<std::string>("error"), "none");
    if (!same("encode_ids", encodings[0].ids, fast)) return false;
    if (options.pads) {
      for (Encoding& encoding : encodings) pad(encoding, options.padding);
    }
    if (!same_encoding("", view_, encodings[0])) return false;
    const size_t further = view_.has("windows") ? view_["windows"].size() : 0;
    if (encodings.size() - 1 != further) {
      return differs("windows", show(further), show(encodings.size() - 1));
    }
    for (size_t i = 0; i < further; ++i) {
      const std::string name = fmt::format("windows[{}].", i);
      if (!same_encoding(name, view_["windows"].at(i), encodings[i + 1])) return false;
    }
    return same_text("decoded", encodings[0].ids, false) &&
           same_text("decoded_skip", encodings[0].ids, true);
  }

 private:
  bool differs(const std::string& field, std::string expected, std::string got) {
    mismatch_->field = field;
    mismatch_->expected = std::move(expected);
    mismatch_->got = std::move(got);
    return false;
  }

  template <typename Value>
  bool same(const std::string& field, const std::vector<Value>& expected,
            const std::vector<Value>& got) {
    if (expected == got) return true;
    size_t at = 0;
    while (at < expected.size() && at < got.size() && expected[at] == got[at]) ++at;
    return differs(field, show_from(expected, at), show_from(got, at));
  }

  bool same_text(const char* field, const std::vector<int32_t>& ids, bool skip_special) {
    if (!view_.has(field)) return true;
    const std::string& expected = view_[field].string();
    const std::string got = tokenizer_.decode(ids, skip_special);
    return got == expected || differs(field, dump_json(Json(expected)), dump_json(Json(got)));
  }

  bool same_encoding(const std::string& name, const JsonView& expected, const Encoding& got) {
    const auto numbers = [&]<typename Value>(const char* key, size_t size, Value otherwise) {
      std::vector<Value> values(expected.has(key) ? 0 : size, otherwise);
      if (expected.has(key)) {
        for (const int64_t value : expected[key].integers()) {
          values.push_back(static_cast<Value>(value));
        }
      }
      return values;
    };
    const std::vector<int32_t> ids = numbers("ids", 0, int32_t{0});
    return same(name + "ids", ids, got.ids) &&
           same(name + "type_ids", numbers("type_ids", ids.size(), uint8_t{0}), got.type_ids) &&
           same(name + "attention_mask", numbers("attention_mask", ids.size(), uint8_t{1}),
                got.attention_mask) &&
           (!expected.has("offsets") ||
            same(name + "offsets", read_ranges(expected["offsets"]), got.offsets));
  }

  const Tokenizer& tokenizer_;
  const JsonView& view_;
  TokenizerScratch& scratch_;
  std::optional<std::string> pair_;
  CaseMismatch* mismatch_ = nullptr;
};

}  // namespace

std::string CaseMismatch::describe() const {
  return fmt::format("case {}: {} differs for {}\n  expected {}\n  got      {}", number, field,
                     text, expected, got);
}

CheckResult check_cases(const Tokenizer& tokenizer, const std::string& path, size_t most_shown) {
  PosixFileSystem disk;
  const Json document = read_json(disk, path);
  const JsonView view(document, path);
  CheckResult result;
  const auto add = [&](CaseMismatch mismatch) {
    ++result.failed;
    if (result.mismatches.size() < most_shown) result.mismatches.push_back(std::move(mismatch));
  };
  if (view.has("vocab_size") && view.get<uint64_t>("vocab_size") != tokenizer.vocab_size()) {
    add({0, "vocab_size", "the tokenizer", show(view.get<uint64_t>("vocab_size")),
         show(tokenizer.vocab_size())});
  }
  const int32_t pad_id = view.get_or("pad_token_id", tokenizer.pad_id());
  if (pad_id != tokenizer.pad_id()) {
    add({0, "pad_token_id", "the tokenizer", show(pad_id), show(tokenizer.pad_id())});
  }
  TokenizerScratch scratch;
  const JsonView cases = view["cases"];
  for (; result.cases < cases.size(); ++result.cases) {
    const JsonView one = cases.at(result.cases);
    CaseMismatch mismatch;
    mismatch.number = result.cases;
    if (!CaseCheck(tokenizer, one, scratch).run(pad_id, mismatch)) add(std::move(mismatch));
  }
  return result;
}

}  // namespace heddle
