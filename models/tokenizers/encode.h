// From the tokens of one or two sequences to what a model gets: truncation and special tokens.
#pragma once

#include <limits>

#include "models/tokenizers/pipeline.h"

namespace heddle {

constexpr uint32_t kNoTokenLimit = std::numeric_limits<uint32_t>::max();

// How many tokens may be there beside the special ones; kNoTokenLimit if nothing is to be cut.
uint32_t token_room(const EncodeOptions& options, const Template& specials, bool is_pair);

// Which tokens of both sequences stay in `room`.
std::pair<TextRange, TextRange> kept_tokens(uint32_t first, uint32_t second, uint32_t room,
                                            const EncodeOptions& options);

// `second` is null without a pair. The encoding, then, if asked for, the windows that were cut, in
// the order of the reference.
std::vector<Encoding> assemble(const SequenceTokens& first, const SequenceTokens* second,
                               const Template& specials, const EncodeOptions& options);

}  // namespace heddle
