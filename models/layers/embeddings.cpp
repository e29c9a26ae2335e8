#include "models/layers/embeddings.h"

#include "framework/ops/cast.h"

namespace heddle {
namespace {

int64_t width(const ClassifierConfig& c) {
  return c.embedding_size ? c.embedding_size : c.hidden_size;
}

}  // namespace

Embeddings::Embeddings(const ClassifierConfig& config, const Group& group)
    : word(config.vocabulary, width(config), group,
           {.deviation = config.deviation, .padding_row = config.padding_id}),
      position({config.max_positions, width(config)},
               {Initializer::Kind::kNormal, config.deviation}),
      norm(width(config), config.layer_norm_eps),
      dropout(config.hidden_dropout),
      type(activation_type(config.precision)) {
  if (config.token_types > 0) {
    token_type = Parameter({config.token_types, width(config)},
                           {Initializer::Kind::kNormal, config.deviation});
  }
  if (width(config) != config.hidden_size) {
    projection.emplace(width(config), config.hidden_size,
                       LinearOptions{.deviation = config.deviation});
  }
}

Tensor Embeddings::operator()(const Batch& batch) const {
  const ProfiledModule span(path);
  Tensor x = split_rows(
      word.sum(batch.ids, position.value, batch.positions, token_type.value, batch.token_types));
  x = cast(heddle::dropout(norm(x), batch.stream_dropout(dropout, 0)), type);
  return projection ? split_rows((*projection)(whole_rows(x))) : x;
}

void Embeddings::visit(Visitor& v) {
  v("word", word);
  v("position.weight", position);
  v("token_type.weight", token_type);
  v("norm", norm);
  if (projection) v("projection", *projection);
}

}  // namespace heddle
