#include "models/tokenizers/tokenizer.h"

#include <algorithm>
#include <limits>

#include "framework/core/error.h"
#include "models/tokenizers/encode.h"
#include "models/tokenizers/fused_bert.h"
#include "models/tokenizers/pipeline.h"
#include "models/tokenizers/scratch.h"
#include "models/tokenizers/word_piece_decoder.h"

namespace heddle {

TokenizerScratch::TokenizerScratch() : state_(std::make_unique<State>()) {}
TokenizerScratch::~TokenizerScratch() = default;
TokenizerScratch::TokenizerScratch(TokenizerScratch&&) noexcept = default;
TokenizerScratch& TokenizerScratch::operator=(TokenizerScratch&&) noexcept = default;

Tokenizer::Tokenizer(Parts parts) : parts_(std::move(parts)) {
  check(parts_.model != nullptr, "[tokenizer] there is no model");
  if (!parts_.added.has_normalized()) {
    fused_ = FusedBert::make(parts_.normalizer.get(), parts_.pre_tokenizer.get(), *parts_.model);
  }
}

Tokenizer::~Tokenizer() = default;

std::vector<Encoding> Tokenizer::encode(std::string_view text, std::optional<std::string_view> pair,
                                        const EncodeOptions& options) const {
  SequenceTokens second;
  const SequenceTokens first = run_pipeline(parts_, text);
  if (pair.has_value()) second = run_pipeline(parts_, *pair);
  return assemble(first, pair.has_value() ? &second : nullptr, parts_.post_processor, options);
}

void Tokenizer::append_sequence(std::string_view text, size_t most,
                                TokenizerScratch::State& scratch, IdBuffer& ids) const {
  ids.clear();
  const auto append = [&](std::span<const int32_t> more) {
    ids.reserve_more(more.size());
    std::copy(more.begin(), more.end(), ids.next());
    ids.advance(more.size());
  };
  if (fused_ == nullptr) return append(run_pipeline(parts_, text).ids);
  if (scratch.owner != fused_) {
    scratch.short_words.clear();
    scratch.long_words.clear();
    scratch.owner = fused_;
  }
  if (parts_.added.has_none(text)) return fused_->append(text, most, scratch, ids);
  scratch.spans.clear();
  parts_.added.split(text, scratch.spans);
  for (const AddedSpan& span : scratch.spans) {
    if (span.id >= 0) {
      append({&span.id, 1});
    } else {
      fused_->append(text.substr(span.begin, span.end - span.begin), most, scratch, ids);
    }
  }
}

void Tokenizer::encode_ids(std::string_view text, std::optional<std::string_view> pair,
                           const EncodeOptions& options, TokenizerScratch& scratch,
                           std::vector<int32_t>& ids, uint32_t* pair_begin) const {
  const bool is_pair = pair.has_value();
  const uint32_t room = token_room(options, parts_.post_processor, is_pair);
  // What comes after the first `room` tokens is cut in any case. (Of a pair the longer one may get
  // an odd token more, so both lengths must be known.)
  const bool cuts_end =
      !is_pair && room != kNoTokenLimit && options.truncation_side == Side::kRight;
  const size_t most = cuts_end ? size_t{room} + 1 : std::numeric_limits<size_t>::max();
  TokenizerScratch::State& state = scratch.state();
  append_sequence(text, most, state, state.first);
  state.second.clear();
  if (is_pair) append_sequence(*pair, most, state, state.second);
  const auto [first, second] =
      kept_tokens(static_cast<uint32_t>(state.first.size()),
                  static_cast<uint32_t>(state.second.size()), room, options);
  const size_t before = ids.size();
  size_t type_0_end = before;
  for (const TemplateItem& item : parts_.post_processor.items(is_pair)) {
    if (item.kind == TemplateItem::Kind::kSpecial) {
      if (options.add_special_tokens) ids.insert(ids.end(), item.ids.begin(), item.ids.end());
    } else {
      const bool is_first = item.kind == TemplateItem::Kind::kFirst;
      const int32_t* all = (is_first ? state.first : state.second).data();
      const TextRange kept = is_first ? first : second;
      ids.insert(ids.end(), all + kept.begin, all + kept.end);
    }
    if (item.type_id == 0) type_0_end = ids.size();
  }
  if (pair_begin != nullptr) *pair_begin = static_cast<uint32_t>(type_0_end - before);
}

std::string Tokenizer::decode(const std::vector<int32_t>& ids, bool skip_special) const {
  std::vector<std::string_view> tokens;
  for (const int32_t id : ids) {
    std::string_view token;
    if (const std::string* added = parts_.added.shown(id)) {
      token = *added;
    } else if (const auto known = parts_.model->id_to_token(id)) {
      token = *known;
    } else {
      continue;
    }
    if (!skip_special || !parts_.added.is_special(token)) tokens.push_back(token);
  }
  std::string text;
  if (parts_.decoder) {
    text = parts_.decoder->decode(tokens);
  } else {
    text = fmt::format("{}", fmt::join(tokens, " "));
  }
  return parts_.clean_up_spaces ? clean_up_spaces(std::move(text)) : text;
}

std::vector<ExplainedStage> Tokenizer::explain(std::string_view text,
                                               std::optional<std::string_view> pair) const {
  std::vector<ExplainedStage> stages;
  const auto list = [](const std::vector<std::string>& texts) {
    return fmt::format("{}", fmt::join(texts, " | "));
  };
  for (const std::optional<std::string_view>& sequence : {std::optional(text), pair}) {
    if (!sequence.has_value()) continue;
    StageTexts seen;
    const SequenceTokens tokens = run_pipeline(parts_, *sequence, &seen);
    std::vector<std::string> names;
    for (const int32_t id : tokens.ids) names.push_back(id_to_token(id).value_or(""));
    stages.push_back({stages.empty() ? "text" : "pair", std::string(*sequence)});
    stages.push_back({"added tokens", list(seen.spans)});
    stages.push_back({"normalized", list(seen.normalized)});
    stages.push_back({"words", list(seen.words)});
    stages.push_back({"tokens", list(names)});
  }
  const Encoding encoding = encode(text, pair)[0];
  std::vector<std::string> names;
  for (const int32_t id : encoding.ids) names.push_back(id_to_token(id).value_or(""));
  stages.push_back({"with specials", list(names)});
  stages.push_back({"ids", fmt::format("{}", fmt::join(encoding.ids, " "))});
  stages.push_back({"types", fmt::format("{}", fmt::join(encoding.type_ids, " "))});
  stages.push_back({"decoded", decode(encoding.ids)});
  return stages;
}

std::optional<int32_t> Tokenizer::token_to_id(std::string_view token) const {
  const std::optional<int32_t> added = parts_.added.id(token);
  return added.has_value() ? added : parts_.model->token_to_id(token);
}

std::optional<std::string> Tokenizer::id_to_token(int32_t id) const {
  if (const AddedToken* added = parts_.added.token(id)) return added->content;
  const std::optional<std::string_view> token = parts_.model->id_to_token(id);
  return token.has_value() ? std::optional(std::string(*token)) : std::nullopt;
}

size_t Tokenizer::vocab_size() const {
  return parts_.model->vocab_size() + parts_.added.count_outside(*parts_.model);
}

int32_t Tokenizer::id_bound() const {
  const auto& added = parts_.added.tokens();
  return std::max(parts_.model->id_bound(), added.empty() ? 0 : added.rbegin()->first + 1);
}

int32_t Tokenizer::named_id(const std::string& name) const {
  const auto token = parts_.named_tokens.find(name);
  return token == parts_.named_tokens.end() ? -1 : token_to_id(token->second).value_or(-1);
}

bool Tokenizer::is_special(int32_t id) const {
  const AddedToken* token = parts_.added.token(id);
  return token != nullptr && token->special;
}

}  // namespace heddle
