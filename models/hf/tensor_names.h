// Which tensors of a Hugging Face file make a parameter of ours.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/hf/family.h"

namespace heddle {

// "encoder.layers.3.attention.query_key_value.weight" ->
// {"encoder.layer.3.attention.self.query.weight", "….key.weight", "….value.weight"}: the parts, one
// below another, without the family's prefix. Throws std::invalid_argument for a name without rule.
std::vector<std::string> their_names(const Family& family, std::string_view ours);

// True for a parameter of the head, which a file may lack.
bool is_head(std::string_view ours);

// The name in a file of the whole classifier: heads stand beside the prefixed encoder ("bert."),
// except BERT's pooler, which is part of it.
std::string full_name(const Family& family, std::string_view theirs);

}  // namespace heddle
