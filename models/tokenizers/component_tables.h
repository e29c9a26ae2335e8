// From the descriptions in tokenizer.json to parts: one table for each kind of part. What is in no
// table is refused by name.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "framework/io/json.h"
#include "models/tokenizers/parts.h"
#include "models/tokenizers/template_processing.h"
#include "models/tokenizers/vocabulary.h"

namespace heddle {

// Each takes the value of its key in tokenizer.json; null gives no part (for the post-processor:
// the plain template). Throws Error(kInput) "PATH: ..." otherwise.
std::unique_ptr<Normalizer> make_normalizer(const JsonView& description);
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonView& description);
Template make_post_processor(const JsonView& description);
std::unique_ptr<Decoder> make_decoder(const JsonView& description);
// `vocab` stands for the object of that name, if it was read before; else it is in the description.
std::unique_ptr<Model> make_model(const JsonView& description,
                                  std::optional<std::vector<VocabularyToken>> vocab = {});

}  // namespace heddle
