// config.json of a Hugging Face folder <-> ClassifierConfig.
//
// An attribute that would change the arithmetic and that this program does not have is refused by
// name and value; attributes that change nothing are ignored.
#pragma once

#include <string>

#include "framework/io/json.h"
#include "models/config.h"

namespace heddle {

// `name` stands for the document in messages. Labels come from id2label, else from num_labels
// (LABEL_0 …), else there are two.
ClassifierConfig parse_config(const Json& document, const std::string& name);

// What transformers reads back as the same model with a classification head.
Json config_json(const ClassifierConfig& config);

}  // namespace heddle
