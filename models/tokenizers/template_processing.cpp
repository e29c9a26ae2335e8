#include "models/tokenizers/template_processing.h"

namespace heddle {

namespace {

using Kind = TemplateItem::Kind;

}  // namespace

int Template::added(bool is_pair) const {
  size_t count = 0;
  for (const TemplateItem& item : items(is_pair)) count += item.ids.size();
  return static_cast<int>(count);
}

Template Template::plain() {
  const TemplateItem first{Kind::kFirst, 0, {}};
  return {{first}, {first, {Kind::kSecond, 1, {}}}};
}

Template Template::bert(int32_t cls, int32_t sep) {
  const std::vector<TemplateItem> single = {
      {Kind::kSpecial, 0, {cls}}, {Kind::kFirst, 0, {}}, {Kind::kSpecial, 0, {sep}}};
  std::vector<TemplateItem> pair = single;
  pair.push_back({Kind::kSecond, 1, {}});
  pair.push_back({Kind::kSpecial, 1, {sep}});
  return {single, pair};
}

}  // namespace heddle
