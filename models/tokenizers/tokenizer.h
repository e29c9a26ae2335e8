// Text to token ids and back, equal to Hugging Face `tokenizers` (fast) on any input.
//
//   std::shared_ptr<const Tokenizer> tokenizer = load_tokenizer("models/minilm");
//   TokenizerScratch scratch;  // one a thread; the tokenizer itself is shared without locks
//   std::vector<int32_t> ids;
//   uint32_t pair_begin = 0;
//   tokenizer->encode_ids("a text", std::nullopt, {.max_length = 128}, scratch, ids, &pair_begin);
//   -> 101 1037 3793 102
//   tokenizer->decode(ids, /*skip_special=*/true);  // "a text"
//
//   Encoding first = tokenizer->encode("a text", "a pair", {.offsets = true})[0];
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/tokenizers/added_tokens.h"
#include "models/tokenizers/parts.h"
#include "models/tokenizers/template_processing.h"
#include "models/tokenizers/truncation.h"

namespace heddle {

class FusedBert;
class IdBuffer;

struct EncodeOptions {
  bool add_special_tokens = true;
  int max_length = 0;  // special tokens included; 0: as long as it gets
  Truncation truncation = Truncation::kLongestFirst;
  Side truncation_side = Side::kRight;
  bool windows = false;  // what was cut comes as further windows
  int stride = 0;        // tokens that neighbouring windows share
  bool offsets = false;
};

// What the model gets for one text, or one window of it.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<uint8_t> type_ids;        // as many as ids
  std::vector<uint8_t> attention_mask;  // as many as ids; 0 only where `pad` added something
  // Where in the text (or pair) each token is, in Unicode code points, [begin, end); {0, 0} for
  // special tokens. Empty unless asked for.
  std::vector<TextRange> offsets;
};

// Memory that encoding works in, kept between calls so that most of them allocate nothing, and a
// cache of words. For one thread at a time; may serve any number of tokenizers in turn.
class TokenizerScratch {
 public:
  TokenizerScratch();
  ~TokenizerScratch();
  TokenizerScratch(TokenizerScratch&&) noexcept;
  TokenizerScratch& operator=(TokenizerScratch&&) noexcept;

  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// One step of `explain`: what it is called and the text as it is after it.
struct ExplainedStage {
  std::string name;
  std::string text;
};

// Contents of tokenizer files by name, such as "tokenizer.json".
using TokenizerFiles = std::map<std::string, std::string>;

class Tokenizer {
 public:
  // What a loader gives; `model` must be there, the other parts may be missing.
  struct Parts {
    AddedTokens added;
    std::unique_ptr<Normalizer> normalizer;
    std::unique_ptr<PreTokenizer> pre_tokenizer;
    std::unique_ptr<Model> model;
    Template post_processor = Template::plain();
    std::unique_ptr<Decoder> decoder;
    std::map<std::string, std::string> named_tokens;  // "pad_token" -> "[PAD]"
    bool clean_up_spaces = false;
    int64_t model_max_length = 0;  // 0: not known
    TokenizerFiles files;
  };

  explicit Tokenizer(Parts parts);
  ~Tokenizer();

  // The encoding of a text or a pair; with `windows` and a text that is too long, further ones.
  // Text must be UTF-8. Throws Error(kInput) for text that is not, and where truncation cannot
  // reach max_length. A max_length below the number of special tokens does not truncate, as in the
  // reference.
  std::vector<Encoding> encode(std::string_view text, std::optional<std::string_view> pair = {},
                               const EncodeOptions& options = {}) const;

  // The fast way: appends the ids to `ids` and sets *pair_begin to the number of them before the
  // first one of type 1 (all of them if there is none). Equal to encode(...)[0].
  void encode_ids(std::string_view text, std::optional<std::string_view> pair,
                  const EncodeOptions& options, TokenizerScratch& scratch,
                  std::vector<int32_t>& ids, uint32_t* pair_begin = nullptr) const;

  // Ids that no token has are left out, as in the reference.
  std::string decode(const std::vector<int32_t>& ids, bool skip_special = false) const;

  // What each stage makes of a text.
  std::vector<ExplainedStage> explain(std::string_view text,
                                      std::optional<std::string_view> pair = {}) const;

  std::optional<int32_t> token_to_id(std::string_view token) const;
  std::optional<std::string> id_to_token(int32_t id) const;
  size_t vocab_size() const;  // with added tokens
  // The greatest id + 1: how many rows an embedding needs at least.
  int32_t id_bound() const;

  // -1 where the tokenizer has no such token.
  int32_t pad_id() const { return named_id("pad_token"); }
  int32_t unk_id() const { return named_id("unk_token"); }
  int32_t cls_id() const { return named_id("cls_token"); }
  int32_t sep_id() const { return named_id("sep_token"); }
  int32_t mask_id() const { return named_id("mask_token"); }
  int32_t named_id(const std::string& name) const;  // "bos_token", ...
  bool is_special(int32_t id) const;

  int added_specials(bool is_pair) const { return parts_.post_processor.added(is_pair); }
  int64_t model_max_length() const { return parts_.model_max_length; }  // 0: none

  // The files it was made of, so that a checkpoint can keep them.
  const TokenizerFiles& files() const { return parts_.files; }

 private:
  void append_sequence(std::string_view text, size_t most, TokenizerScratch::State& scratch,
                       IdBuffer& ids) const;

  Parts parts_;
  std::shared_ptr<const FusedBert> fused_;  // null where the parts are not those it stands for
};

// From a folder with `tokenizer.json`, or with `vocab.txt` of a BERT tokenizer, or from one such
// file; `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` beside it are
// read too. Throws Error(kInput) "PATH: ..." if they are missing, broken, or need a part that is
// not there yet.
std::shared_ptr<const Tokenizer> load_tokenizer(const std::string& path);
// The same from contents by name, as Tokenizer::files() gives them; `origin` stands for the folder
// in messages.
std::shared_ptr<const Tokenizer> load_tokenizer_from_files(const TokenizerFiles& files,
                                                           const std::string& origin);

}  // namespace heddle
