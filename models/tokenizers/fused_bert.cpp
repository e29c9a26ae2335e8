#include "models/tokenizers/fused_bert.h"

#include <emmintrin.h>  // SSE2: every x86-64 has it

#include <bit>
#include <cstring>

#include "models/tokenizers/bert_normalizer.h"
#include "models/tokenizers/bert_pre_tokenizer.h"
#include "models/tokenizers/unicode.h"
#include "models/tokenizers/words.h"

namespace heddle {

namespace {

enum class ByteClass : uint8_t {
  kOther,   // controls and what is not ASCII: for the parts themselves
  kLetter,  // and digits
  kPunctuation,
  kSpace,
};

constexpr std::array<ByteClass, 256> byte_classes() {
  std::array<ByteClass, 256> classes{};
  for (int c = 0x21; c < 0x7F; ++c) {
    const bool letter = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    classes[static_cast<size_t>(c)] = letter ? ByteClass::kLetter : ByteClass::kPunctuation;
  }
  for (const char c : {' ', '\t', '\n', '\r'}) classes[static_cast<size_t>(c)] = ByteClass::kSpace;
  return classes;
}

constexpr std::array<ByteClass, 256> kClasses = byte_classes();

ByteClass class_of(char c) {
  return kClasses[static_cast<uint8_t>(c)];
}
bool ends_word(char c) {
  return class_of(c) >= ByteClass::kPunctuation;
}

constexpr size_t kBlock = 16;

// 16 bytes of text. `letters` has a bit for each byte that is an ASCII letter or digit.
class Block {
 public:
  explicit Block(const char* bytes)
      : bytes_(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes))) {
    letters_ = in_range(_mm_or_si128(bytes_, _mm_set1_epi8(0x20)), 'a', 26);
  }
  uint32_t letters() const {
    return static_cast<uint32_t>(
        _mm_movemask_epi8(_mm_or_si128(letters_, in_range(bytes_, '0', 10))));
  }
  // The first `length` bytes, in lower case if asked for.
  ShortWord word(size_t length, bool lowercase) const {
    alignas(16) static constexpr char kKeep[2 * kBlock] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                           -1, -1, -1, -1, -1, -1, -1, -1};
    const __m128i keep = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kKeep + kBlock - length));
    const __m128i lower = _mm_and_si128(letters_, _mm_set1_epi8(lowercase ? 0x20 : 0));
    const __m128i word = _mm_and_si128(_mm_or_si128(bytes_, lower), keep);
    return {static_cast<uint64_t>(_mm_cvtsi128_si64(word)),
            static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(word, word)))};
  }

 private:
  static __m128i in_range(__m128i bytes, char from, char count) {
    const __m128i above = _mm_sub_epi8(bytes, _mm_set1_epi8(from));
    return _mm_cmpeq_epi8(_mm_min_epu8(above, _mm_set1_epi8(static_cast<char>(count - 1))), above);
  }
  __m128i bytes_;
  __m128i letters_;
};

void put(std::span<const int32_t> ids, IdBuffer& out) {
  if (ids.empty()) return;
  out.reserve_more(ids.size());
  std::memcpy(out.next(), ids.data(), ids.size() * sizeof(int32_t));
  out.advance(ids.size());
}

}  // namespace

std::shared_ptr<const FusedBert> FusedBert::make(const Normalizer* normalizer,
                                                 const PreTokenizer* pre_tokenizer,
                                                 const Model& model) {
  const auto* bert = dynamic_cast<const BertNormalizer*>(normalizer);
  const auto* words = dynamic_cast<const BertPreTokenizer*>(pre_tokenizer);
  const auto* pieces = dynamic_cast<const WordPiece*>(&model);
  if (bert == nullptr || words == nullptr || pieces == nullptr || !bert->options().clean_text) {
    return nullptr;
  }
  return std::shared_ptr<const FusedBert>(
      new FusedBert(*bert, *words, *pieces, bert->options().lowercase));
}

FusedBert::FusedBert(const Normalizer& normalizer, const PreTokenizer& pre_tokenizer,
                     const WordPiece& model, bool lowercase)
    : normalizer_(normalizer), pre_tokenizer_(pre_tokenizer), model_(model), lowercase_(lowercase) {
  std::vector<Piece> pieces;
  for (size_t c = 0; c < punctuation_ids_.size(); ++c) {
    pieces.clear();
    const char byte = static_cast<char>(c);
    model_.tokenize(std::string_view(&byte, 1), pieces);
    punctuation_ids_[c] = pieces[0].id;
  }
}

void FusedBert::append(std::string_view text, size_t most, TokenizerScratch::State& scratch,
                       IdBuffer& ids) const {
  const char* at = text.data();
  const char* end = at + text.size();
  // The last bytes are read from here, so that a block never reaches behind the text.
  char tail[3 * kBlock] = {};
  bool in_tail = false;
  // No ASCII word has more ids than bytes; `put` makes room for others.
  ids.reserve_more(text.size() + kBlock);
  while (at < end && ids.size() < most) {
    if (static_cast<size_t>(end - at) < kBlock && !in_tail) {
      std::memcpy(tail, at, static_cast<size_t>(end - at));
      end = tail + (end - at);
      at = tail;
      in_tail = true;
    }
    const Block block(at);
    const auto length = static_cast<size_t>(std::countr_one(block.letters() & 0xFFFFu));
    const char* word_end = at + length;
    if (length == kBlock) {
      while (word_end < end && class_of(*word_end) == ByteClass::kLetter) ++word_end;
    }
    if (word_end < end && class_of(*word_end) == ByteClass::kOther) {
      while (word_end < end && !ends_word(*word_end)) ++word_end;
      append_any(std::string_view(at, static_cast<size_t>(word_end - at)), scratch, ids);
      ids.reserve_more(static_cast<size_t>(end - word_end) + kBlock);
    } else if (length == 0) {
      if (class_of(*at) == ByteClass::kPunctuation) {
        *ids.next() = punctuation_ids_[static_cast<uint8_t>(*at)];
        ids.advance(1);
      }
      word_end = at + 1;
    } else if (length == kBlock) {
      append_letters(std::string_view(at, static_cast<size_t>(word_end - at)), scratch, ids);
      ids.reserve_more(static_cast<size_t>(end - word_end) + kBlock);
    } else if (const auto* known = scratch.short_words.find(block.word(length, lowercase_))) {
      std::memcpy(ids.next(), known->ids, sizeof(known->ids));
      ids.advance(static_cast<size_t>(known->count));
    } else {
      append_letters(std::string_view(at, length), scratch, ids);
      ids.reserve_more(static_cast<size_t>(end - word_end) + kBlock);
    }
    at = word_end;
    if (at < end && *at == ' ') ++at;
  }
}

void FusedBert::append_letters(std::string_view word, TokenizerScratch::State& scratch,
                               IdBuffer& ids) const {
  WordMemory& memory = scratch.memory;
  memory.word.assign(word);
  if (lowercase_) {
    for (char& c : memory.word) c = static_cast<char>(c | (c >= 'A' && c <= 'Z' ? 0x20 : 0));
  }
  const bool is_short = word.size() < kBlock;
  const uint64_t hash = Vocabulary::hash_of(memory.word);
  bool known = false;
  const std::span<const int32_t> found = scratch.long_words.find(memory.word, hash, &known);
  if (known) return put(found, ids);
  memory.pieces.clear();
  model_.tokenize(memory.word, memory.pieces);
  memory.ids.clear();
  for (const Piece& piece : memory.pieces) memory.ids.push_back(piece.id);
  if (is_short && memory.ids.size() <= ShortWordCache::kMostIds) {
    scratch.short_words.insert(ShortWord(memory.word), memory.ids);
  } else {
    scratch.long_words.insert(memory.word, hash, memory.ids);
  }
  put(memory.ids, ids);
}

void FusedBert::append_any(std::string_view word, TokenizerScratch::State& scratch,
                           IdBuffer& ids) const {
  // The bytes are those of the text here and in lower case above. That is no conflict: this word
  // holds a byte that no word above has.
  const uint64_t hash = Vocabulary::hash_of(word);
  bool known = false;
  const std::span<const int32_t> found = scratch.long_words.find(word, hash, &known);
  if (known) return put(found, ids);
  WordMemory& memory = scratch.memory;
  decode_text(word, memory.text);
  normalizer_.normalize(memory.text, memory.spare);
  memory.words.clear();
  pre_tokenizer_.split(memory.text, memory.words);
  memory.ids.clear();
  for (const TextRange range : memory.words) {
    encode_word(memory.text, range, memory.word);
    memory.pieces.clear();
    model_.tokenize(memory.word, memory.pieces);
    for (const Piece& piece : memory.pieces) memory.ids.push_back(piece.id);
  }
  scratch.long_words.insert(word, hash, memory.ids);
  put(memory.ids, ids);
}

}  // namespace heddle
