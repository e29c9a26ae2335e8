#include <algorithm>
#include <filesystem>
#include <system_error>
#include <unordered_map>

#include "framework/core/error.h"
#include "framework/io/file_system.h"
#include "framework/io/json.h"
#include "models/tokenizers/bert_normalizer.h"
#include "models/tokenizers/bert_pre_tokenizer.h"
#include "models/tokenizers/component_tables.h"
#include "models/tokenizers/tokenizer.h"
#include "models/tokenizers/tokenizer_config.h"
#include "models/tokenizers/unicode.h"
#include "models/tokenizers/vocab_scanner.h"
#include "models/tokenizers/word_piece.h"
#include "models/tokenizers/word_piece_decoder.h"

namespace heddle {

namespace {

constexpr const char* kTokenizerJson = "tokenizer.json";
constexpr const char* kVocabTxt = "vocab.txt";

// Adds tokens to `parts` in the order in which the reference does.
class TokenAdder {
 public:
  TokenAdder(Tokenizer::Parts& parts, const std::string& path) : parts_(parts), path_(path) {}

  void add(const AddedToken& token) {
    parts_.added.add(token, *parts_.model, parts_.normalizer.get());
  }
  void add(const AddedToken& token, int32_t wanted) {
    const int32_t id = parts_.added.add(token, *parts_.model, parts_.normalizer.get());
    if (id == wanted || token.content.empty()) return;
    throw Error(ExitCode::kInput,
                fmt::format("{}: the added token '{}' says the id {}, but gets {}", path_,
                            token.content, wanted, id),
                "ids of added tokens go on where the vocabulary ends, without a gap");
  }
  // The special tokens that `config` names, where they are not there already.
  void add_specials(const TokenizerConfig& config) {
    for (const std::string& name : kTokenNames) {
      if (const auto token = config.named.find(name); token != config.named.end()) {
        add_special(token->second);
        parts_.named_tokens[name] = token->second.content;
      }
    }
    for (const AddedToken& token : config.further_specials) add_special(token);
  }

 private:
  void add_special(AddedToken token) {
    const std::optional<int32_t> id = parts_.added.id(token.content);
    if (id.has_value()) {  // keeps its flags
      token = *parts_.added.token(*id);
      if (token.special) return;
      token.special = true;
    }
    add(token);
  }

  Tokenizer::Parts& parts_;
  const std::string& path_;
};

// The document without its vocabulary, if that was read.
Json parse_around_vocab(const std::string& text, const std::string& path,
                        std::optional<ScannedVocab>& vocab) {
  if (vocab.has_value()) {
    try {
      return parse_json(vocab->rest, path);
    } catch (const Error&) {
      vocab.reset();  // the whole text gives the right place of the mistake
    }
  }
  return parse_json(text, path);
}

void check_known(int32_t id, const Tokenizer::Parts& parts, const JsonView& view) {
  if (parts.added.token(id) != nullptr || parts.model->id_to_token(id).has_value()) return;
  throw view["post_processor"].error(fmt::format("puts in the id {}, which no token has", id));
}

void read_tokenizer_json(const std::string& text, const std::string& path,
                         const TokenizerConfig& config, Tokenizer::Parts& parts) {
  std::optional<ScannedVocab> vocab = scan_model_vocab(text);
  const Json document = parse_around_vocab(text, path, vocab);
  const JsonView view(document, path);
  if (view.get_or("version", "1.0") != "1.0") {
    throw view["version"].error("is not known", "this version reads '1.0'");
  }
  const Json nothing;
  const auto part = [&](const char* key) {
    return view.has(key) ? view[key] : JsonView(nothing, path);
  };
  parts.normalizer = make_normalizer(part("normalizer"));
  parts.pre_tokenizer = make_pre_tokenizer(part("pre_tokenizer"));
  parts.post_processor = make_post_processor(part("post_processor"));
  parts.decoder = make_decoder(part("decoder"));
  std::optional<std::vector<VocabularyToken>> tokens;
  if (vocab.has_value()) tokens = std::move(vocab->tokens);
  parts.model = make_model(view["model"], std::move(tokens));
  TokenAdder adder(parts, path);
  if (view.has("added_tokens")) {
    const JsonView added = view["added_tokens"];
    for (size_t i = 0; i < added.size(); ++i) {
      const JsonView token = added.at(i);
      adder.add(read_added_token(token), token.get<int32_t>("id"));
    }
  }
  for (const auto& [id, token] : config.added) {
    const std::optional<int32_t> known = parts.added.id(token.content);
    if (!known.has_value() || *parts.added.token(*known) != token) adder.add(token, id);
  }
  adder.add_specials(config);
  for (const bool is_pair : {false, true}) {
    for (const TemplateItem& item : parts.post_processor.items(is_pair)) {
      for (const int32_t id : item.ids) check_known(id, parts, view);
    }
  }
  // Where nothing names them, the names that BERT gave them.
  for (const auto& [name, token] : {std::pair("pad_token", "[PAD]"),
                                    {"cls_token", "[CLS]"},
                                    {"sep_token", "[SEP]"},
                                    {"mask_token", "[MASK]"}}) {
    const bool there =
        parts.added.id(token).has_value() || parts.model->token_to_id(token).has_value();
    if (there) parts.named_tokens.emplace(name, token);
  }
  parts.named_tokens.emplace("unk_token", parts.model->unknown_token());
}

// A line for each token, its number the id. Lines are trimmed on the right, as the reference does.
Vocabulary read_vocab_txt(std::string_view text, const std::string& path) {
  std::unordered_map<std::string_view, int32_t> ids;
  int32_t line = 0;
  for (size_t begin = 0; begin < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    size_t length = 0;  // up to the last code point that is no white space
    const std::string_view whole = text.substr(begin, end - begin);
    for (size_t at = 0; at < whole.size();) {
      const std::optional<char32_t> c = next_code_point(whole, at);
      if (!c.has_value()) {
        throw Error(ExitCode::kInput, fmt::format("{}:{}: not UTF-8", path, line + 1),
                    "a vocabulary has one token a line, in UTF-8");
      }
      if (!is_white_space(*c)) length = at;
    }
    const std::string_view token = whole.substr(0, length);
    const auto [place, is_new] = ids.emplace(token, line);
    // Empty lines mean nothing; the last of them counts, as in the reference.
    if (!is_new && !token.empty()) {
      throw Error(ExitCode::kInput, fmt::format("{}:{}: the token '{}' was in line {} already",
                                                path, line + 1, token, place->second + 1));
    }
    place->second = line;
    begin = end + 1;
  }
  std::vector<VocabularyToken> tokens;
  tokens.reserve(ids.size());
  for (const auto& [token, id] : ids) tokens.push_back({token, id});
  return Vocabulary(std::move(tokens));
}

void read_bert_files(const std::string& text, const std::string& path, const TokenizerConfig& given,
                     Tokenizer::Parts& parts) {
  const std::string& kind = given.tokenizer_class;
  constexpr std::string_view kKinds[] = {"",
                                         "BertTokenizer",
                                         "BertTokenizerFast",
                                         "DistilBertTokenizer",
                                         "DistilBertTokenizerFast",
                                         "ElectraTokenizer",
                                         "ElectraTokenizerFast"};
  if (std::find(std::begin(kKinds), std::end(kKinds), kind) == std::end(kKinds)) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: not yet: tokenizer_class '{}' without tokenizer.json", path, kind),
                "save it with save_pretrained of a fast tokenizer, which writes tokenizer.json");
  }
  TokenizerConfig config = given;
  for (const auto& [name, token] : {std::pair("unk_token", "[UNK]"),
                                    {"sep_token", "[SEP]"},
                                    {"pad_token", "[PAD]"},
                                    {"cls_token", "[CLS]"},
                                    {"mask_token", "[MASK]"}}) {
    config.named.try_emplace(name,
                             AddedToken{.content = token, .normalized = false, .special = true});
  }
  parts.normalizer = std::make_unique<BertNormalizer>(
      BertNormalizer::Options{.clean_text = true,
                              .handle_chinese_chars = config.tokenize_chinese_chars,
                              .strip_accents = config.strip_accents.value_or(config.do_lower_case),
                              .lowercase = config.do_lower_case});
  parts.pre_tokenizer = std::make_unique<BertPreTokenizer>();
  parts.decoder = std::make_unique<WordPieceDecoder>();
  Vocabulary vocabulary = read_vocab_txt(text, path);
  const std::string& unknown = config.named.at("unk_token").content;
  if (!vocabulary.id(unknown).has_value()) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: the unknown token '{}' is not among its {} tokens", path, unknown,
                            vocabulary.size()),
                "name the right one as unk_token in tokenizer_config.json");
  }
  parts.model = std::make_unique<WordPiece>(std::move(vocabulary),
                                            WordPiece::Options{.unknown_token = unknown});
  TokenAdder adder(parts, path);
  for (const auto& [id, token] : config.added) adder.add(token, id);
  adder.add_specials(config);
  parts.post_processor = Template::bert(*parts.added.id(config.named.at("cls_token").content),
                                        *parts.added.id(config.named.at("sep_token").content));
}

}  // namespace

std::shared_ptr<const Tokenizer> load_tokenizer_from_files(const TokenizerFiles& files,
                                                           const std::string& origin) {
  const TokenizerConfig config = read_tokenizer_config(files, origin);
  const bool has_json = files.count(kTokenizerJson) > 0;
  if (!has_json && files.count(kVocabTxt) == 0) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: neither tokenizer.json nor vocab.txt is there", origin),
                "copy the tokenizer files beside the model");
  }
  const std::string name = has_json ? kTokenizerJson : kVocabTxt;
  const std::string path = join_path(origin, name);
  Tokenizer::Parts parts;
  parts.files = files;
  parts.clean_up_spaces = config.clean_up_spaces;
  parts.model_max_length = config.model_max_length;
  const auto& read = has_json ? read_tokenizer_json : read_bert_files;
  read(files.at(name), path, config, parts);
  try {
    parts.added.build();
  } catch (const std::invalid_argument& error) {
    throw Error(ExitCode::kInput, fmt::format("{}: {}", path, error.what()));
  }
  return std::make_shared<const Tokenizer>(std::move(parts));
}

std::shared_ptr<const Tokenizer> load_tokenizer(const std::string& path) {
  PosixFileSystem disk;
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(path, ignored);
  const std::string folder = is_folder ? path : parent_path(path);
  std::vector<std::string> names;
  if (!is_folder) {
    names = {base_name(path)};
    if (names[0] != kTokenizerJson && names[0] != kVocabTxt) {
      throw Error(ExitCode::kInput,
                  fmt::format("{}: neither a folder with a tokenizer nor a file of one", path),
                  "expected a folder, tokenizer.json or vocab.txt");
    }
  } else if (std::filesystem::exists(join_path(folder, kTokenizerJson), ignored)) {
    names = {kTokenizerJson};
  } else {
    names = {kVocabTxt};
  }
  TokenizerFiles files;
  for (const char* name :
       {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}) {
    if (std::filesystem::exists(join_path(folder, name), ignored)) names.emplace_back(name);
  }
  constexpr uint64_t kMostBytes = uint64_t{256} << 20;
  for (const std::string& name : names) {
    const std::string file = join_path(folder, name);
    if (is_folder && !std::filesystem::exists(file, ignored)) continue;
    files[name] = read_file(disk, file, kMostBytes);
  }
  return load_tokenizer_from_files(files, folder);
}

}  // namespace heddle
