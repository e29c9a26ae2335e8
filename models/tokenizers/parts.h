// The parts a tokenizer is made of, in the order in which text passes through them:
//
//   added tokens -> Normalizer -> PreTokenizer -> Model -> (truncation) -> Template -> ids
//   ids -> Decoder -> text
//
// A further kind of part is one class here and one line in the table of its kind
// (component_tables.cpp). All parts are immutable and shared by threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

// [begin, end).
struct TextRange {
  uint32_t begin = 0;
  uint32_t end = 0;
  bool operator==(const TextRange&) const = default;
};

// Code points, each with the code points of the original text that it came from.
struct AlignedText {
  std::u32string chars;
  std::vector<TextRange> source;  // as many as `chars`

  size_t size() const { return chars.size(); }
  void clear() {
    chars.clear();
    source.clear();
  }
  void push_back(char32_t c, TextRange from) {
    chars.push_back(c);
    source.push_back(from);
  }
  void swap(AlignedText& other) {
    chars.swap(other.chars);
    source.swap(other.source);
  }
};

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // Changes `text`; `spare` is memory to work in.
  virtual void normalize(AlignedText& text, AlignedText& spare) const = 0;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Appends the words of `text`, in order, none of them empty.
  virtual void split(const AlignedText& text, std::vector<TextRange>& words) const = 0;
};

// A token within a word.
struct Piece {
  int32_t id = 0;
  uint32_t begin = 0;  // bytes of the word, [begin, end)
  uint32_t end = 0;
};

class Model {
 public:
  virtual ~Model() = default;
  // Appends the tokens of `word`, which is UTF-8 and not empty.
  virtual void tokenize(std::string_view word, std::vector<Piece>& pieces) const = 0;
  virtual std::optional<int32_t> token_to_id(std::string_view token) const = 0;
  // Nothing for an id that no token has. The view lives as long as the model.
  virtual std::optional<std::string_view> id_to_token(int32_t id) const = 0;
  virtual size_t vocab_size() const = 0;               // number of tokens
  virtual int32_t id_bound() const = 0;                // the greatest id + 1
  virtual std::string_view unknown_token() const = 0;  // "" if it has none
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual std::string decode(const std::vector<std::string_view>& tokens) const = 0;
};

}  // namespace heddle
