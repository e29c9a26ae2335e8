#include "models/hf/family.h"

#include "framework/core/error.h"
#include "framework/core/nearest_name.h"

namespace heddle {
namespace {

// Adding a family adds its table here.
std::vector<const Family*> families() {
  return {&bert_family(), &distilbert_family(), &electra_family()};
}

}  // namespace

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const Family* family : families()) names.push_back(family->model_type);
  return names;
}

const Family& family_named(std::string_view model_type, const std::string& where) {
  for (const Family* family : families()) {
    if (family->model_type == model_type) return *family;
  }
  const std::vector<std::string> names = family_names();
  throw Error(ExitCode::kInput, fmt::format("{}: model family '{}': not yet", where, model_type),
              did_you_mean(model_type, names));
}

}  // namespace heddle
