#include "models/tokenizers/component_tables.h"

#include <algorithm>
#include <array>
#include <limits>

#include "models/tokenizers/bert_normalizer.h"
#include "models/tokenizers/bert_pre_tokenizer.h"
#include "models/tokenizers/word_piece.h"
#include "models/tokenizers/word_piece_decoder.h"

namespace heddle {

namespace {

template <typename Part>
struct Component {
  std::string_view type;
  Part (*make)(const JsonView& description);
};

void allow_only(const JsonView& description, std::initializer_list<std::string> keys) {
  description.allow_only(std::span(keys.begin(), keys.size()));
}

// --- Normalizers

std::unique_ptr<Normalizer> bert_normalizer(const JsonView& view) {
  allow_only(view, {"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
  BertNormalizer::Options options;
  options.clean_text = view.get<bool>("clean_text");
  options.handle_chinese_chars = view.get<bool>("handle_chinese_chars");
  options.lowercase = view.get<bool>("lowercase");
  options.strip_accents = view.get_or("strip_accents", options.lowercase);
  return std::make_unique<BertNormalizer>(options);
}

constexpr std::array<Component<std::unique_ptr<Normalizer>>, 1> kNormalizers = {
    {{"BertNormalizer", bert_normalizer}}};

// --- Pre-tokenizers

std::unique_ptr<PreTokenizer> bert_pre_tokenizer(const JsonView& view) {
  allow_only(view, {"type"});
  return std::make_unique<BertPreTokenizer>();
}

constexpr std::array<Component<std::unique_ptr<PreTokenizer>>, 1> kPreTokenizers = {
    {{"BertPreTokenizer", bert_pre_tokenizer}}};

// --- Post-processors

int32_t token_id(const JsonView& view) {
  return static_cast<int32_t>(view.integer(0, std::numeric_limits<int32_t>::max() - 1));
}

// ["[SEP]", 102]
int32_t token_and_id(const JsonView& view) {
  if (!view.is_array() || view.size() != 2) {
    throw view.error("is not a token and its id", "expected, for instance, [\"[SEP]\", 102]");
  }
  return token_id(view.at(1));
}

Template bert_processing(const JsonView& view) {
  allow_only(view, {"type", "sep", "cls"});
  const int32_t cls = token_and_id(view["cls"]);
  return Template::bert(cls, token_and_id(view["sep"]));
}

// [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, ...]
std::vector<TemplateItem> template_items(const JsonView& view, const JsonView& specials) {
  std::vector<TemplateItem> items;
  for (size_t i = 0; i < view.size(); ++i) {
    const JsonView item = view.at(i);
    allow_only(item, {"SpecialToken", "Sequence"});
    const bool special = item.has("SpecialToken");
    const JsonView what = item[special ? "SpecialToken" : "Sequence"];
    TemplateItem& made = items.emplace_back();
    made.type_id = static_cast<uint8_t>(what["type_id"].integer(0, 1));
    const std::string& id = what["id"].string();
    if (special) {
      const JsonView ids = specials[id]["ids"];
      for (size_t k = 0; k < ids.size(); ++k) made.ids.push_back(token_id(ids.at(k)));
    } else if (id == "A" || id == "B") {
      made.kind = id == "A" ? TemplateItem::Kind::kFirst : TemplateItem::Kind::kSecond;
    } else {
      throw what.error(fmt::format("names the sequence '{}'. Expected A or B.", id));
    }
  }
  return items;
}

Template template_processing(const JsonView& view) {
  allow_only(view, {"type", "single", "pair", "special_tokens"});
  const JsonView specials = view["special_tokens"];
  const Template made{template_items(view["single"], specials),
                      template_items(view["pair"], specials)};
  const auto count = [](const std::vector<TemplateItem>& items, TemplateItem::Kind kind) {
    return std::count_if(items.begin(), items.end(),
                         [&](const TemplateItem& item) { return item.kind == kind; });
  };
  using Kind = TemplateItem::Kind;
  if (count(made.single, Kind::kFirst) != 1 || count(made.single, Kind::kSecond) != 0) {
    throw view["single"].error("must hold sequence A once, and no B");
  }
  if (count(made.pair, Kind::kFirst) != 1 || count(made.pair, Kind::kSecond) != 1) {
    throw view["pair"].error("must hold the sequences A and B once each");
  }
  for (const char* key : {"single", "pair"}) {
    const auto& items = made.items(std::string_view(key) == "pair");
    const auto falls = [](const TemplateItem& a, const TemplateItem& b) {
      return a.type_id > b.type_id;
    };
    if (std::adjacent_find(items.begin(), items.end(), falls) != items.end()) {
      throw view[key].error("goes back from type 1 to type 0: not yet");
    }
  }
  return made;
}

constexpr std::array<Component<Template>, 2> kPostProcessors = {
    {{"BertProcessing", bert_processing}, {"TemplateProcessing", template_processing}}};

// --- Decoders

std::unique_ptr<Decoder> word_piece_decoder(const JsonView& view) {
  allow_only(view, {"type", "prefix", "cleanup"});
  return std::make_unique<WordPieceDecoder>(view.get<std::string>("prefix"),
                                            view.get<bool>("cleanup"));
}

constexpr std::array<Component<std::unique_ptr<Decoder>>, 1> kDecoders = {
    {{"WordPiece", word_piece_decoder}}};

// --- Models

using Tokens = std::vector<VocabularyToken>;

Tokens read_vocab(const JsonView& vocab) {
  if (!vocab.is_object()) throw vocab.error("is no object of tokens and ids");
  Tokens tokens;
  tokens.reserve(vocab.size());
  for (const auto& [token, id] : vocab.raw().get_ref<const Json::object_t&>()) {
    tokens.push_back({token, token_id(vocab[token])});
  }
  return tokens;
}

std::unique_ptr<Model> word_piece(const JsonView& view, Tokens vocab) {
  allow_only(view, {"type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word",
                    "vocab"});
  WordPiece::Options options;
  options.unknown_token = view.get<std::string>("unk_token");
  options.continuation_prefix = view.get<std::string>("continuing_subword_prefix");
  options.longest_word = static_cast<size_t>(view["max_input_chars_per_word"].integer(0));
  try {
    return std::make_unique<WordPiece>(Vocabulary(std::move(vocab)), std::move(options));
  } catch (const std::invalid_argument& error) {
    throw view.error(fmt::format("cannot be used: {}", error.what()));
  }
}

// What every model has beside its description: its tokens and their ids.
struct ModelComponent {
  std::string_view type;
  std::unique_ptr<Model> (*make)(const JsonView& description, Tokens vocab);
};

constexpr std::array<ModelComponent, 1> kModels = {{{"WordPiece", word_piece}}};

// Old files say no type of the model; its other keys tell.
std::string model_type(const JsonView& view) {
  if (view.has("type")) return view.get<std::string>("type");
  if (view.has("merges")) return "BPE";
  if (view.has("continuing_subword_prefix")) return "WordPiece";
  return view.has("unk_id") ? "Unigram" : "WordLevel";
}

template <typename Component, size_t N>
const Component& find_component(const JsonView& view, const std::string& type,
                                const std::array<Component, N>& table) {
  std::string known;
  for (const Component& component : table) {
    if (component.type == type) return component;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", component.type);
  }
  throw Error(ExitCode::kInput, fmt::format("{}: not yet: {} '{}'", view.name(), view.path(), type),
              fmt::format("this version reads {}", known));
}

template <typename Table>
auto make(const JsonView& view, const Table& table) {
  return find_component(view, view["type"].string(), table).make(view);
}

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const JsonView& view) {
  return view.is_null() ? nullptr : make(view, kNormalizers);
}

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonView& view) {
  return view.is_null() ? nullptr : make(view, kPreTokenizers);
}

Template make_post_processor(const JsonView& view) {
  return view.is_null() ? Template::plain() : make(view, kPostProcessors);
}

std::unique_ptr<Decoder> make_decoder(const JsonView& view) {
  return view.is_null() ? nullptr : make(view, kDecoders);
}

std::unique_ptr<Model> make_model(const JsonView& view, std::optional<Tokens> vocab) {
  const ModelComponent& component = find_component(view, model_type(view), kModels);
  return component.make(view, vocab.has_value() ? *std::move(vocab) : read_vocab(view["vocab"]));
}

}  // namespace heddle
