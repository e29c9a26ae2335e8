#include "models/tokenizers/tokenizer_config.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "framework/io/json.h"

namespace heddle {

const std::vector<std::string> kTokenNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                                              "pad_token", "cls_token", "mask_token"};

namespace {

// A special token is written as its text or as an object with flags.
AddedToken special_token(const JsonView& view) {
  if (view.is_string()) {
    return {.content = view.string(), .normalized = false, .special = true};
  }
  AddedToken token = read_added_token(view);
  token.special = true;
  return token;
}

void read_specials(const JsonView& view, TokenizerConfig& config) {
  for (const std::string& name : kTokenNames) {
    if (view.has(name)) config.named[name] = special_token(view[name]);
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    if (!view.has(key)) continue;
    const JsonView tokens = view[key];
    std::vector<JsonView> all;
    if (tokens.is_object()) {
      for (const std::string& name : tokens.keys()) all.push_back(tokens[name]);
    } else {
      for (size_t i = 0; i < tokens.size(); ++i) all.push_back(tokens.at(i));
    }
    for (const JsonView& token : all) {
      AddedToken special = special_token(token);
      auto& further = config.further_specials;
      if (std::find(further.begin(), further.end(), special) == further.end()) {
        further.push_back(std::move(special));
      }
    }
  }
}

void read_main(const JsonView& view, TokenizerConfig& config) {
  config.tokenizer_class = view.get_or("tokenizer_class", "");
  config.do_lower_case = view.get_or("do_lower_case", true);
  config.tokenize_chinese_chars = view.get_or("tokenize_chinese_chars", true);
  if (view.has("strip_accents")) config.strip_accents = view.get<bool>("strip_accents");
  config.clean_up_spaces = view.get_or("clean_up_tokenization_spaces", false);
  if (view.get_or("split_special_tokens", false)) {
    throw view["split_special_tokens"].error("is true: not yet");
  }
  // Where there is no limit the reference writes 1e30.
  const double longest = view.get_or("model_max_length", 0.0);
  if (longest >= 1 && longest < 1e9) config.model_max_length = static_cast<int64_t>(longest);
  read_specials(view, config);
  if (!view.has("added_tokens_decoder")) return;
  const JsonView tokens = view["added_tokens_decoder"];
  for (const std::string& key : tokens.keys()) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0) {
      throw tokens.error(fmt::format("has the key '{}'. Expected an id.", key));
    }
    config.added[id] = read_added_token(tokens[key]);
  }
}

// {"[ENTITY]": 30522}, of old folders.
void read_old_added(const JsonView& view, TokenizerConfig& config) {
  for (const std::string& content : view.keys()) {
    const bool special =
        std::any_of(config.named.begin(), config.named.end(),
                    [&](const auto& token) { return token.second.content == content; });
    const auto id =
        static_cast<int32_t>(view[content].integer(0, std::numeric_limits<int32_t>::max() - 1));
    config.added.emplace(
        id, AddedToken{.content = content, .normalized = !special, .special = special});
  }
}

}  // namespace

AddedToken read_added_token(const JsonView& view) {
  AddedToken token;
  token.content = view.get<std::string>("content");
  token.single_word = view.get_or("single_word", false);
  token.lstrip = view.get_or("lstrip", false);
  token.rstrip = view.get_or("rstrip", false);
  token.special = view.get_or("special", false);
  token.normalized = view.get_or("normalized", !token.special);
  return token;
}

TokenizerConfig read_tokenizer_config(const TokenizerFiles& files, const std::string& origin) {
  TokenizerConfig config;
  const auto read = [&](const std::string& name, const auto& use) {
    const auto file = files.find(name);
    if (file == files.end()) return;
    const std::string path = join_path(origin, name);
    const Json document = parse_json(file->second, path);
    use(JsonView(document, path), config);
  };
  read("tokenizer_config.json", read_main);
  if (config.added.empty()) {  // newer folders keep it for older readers only
    read("special_tokens_map.json", read_specials);
    read("added_tokens.json", read_old_added);
  }
  return config;
}

}  // namespace heddle
