// Text -> token ids -> last hidden state -> logits -> softmax -> label.
//
//   example runs/quickstart "a large wild cat" "a sweet cake with honey and nuts"
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <string>
#include <vector>

#include "framework/autograd/record.h"
#include "framework/ops/activations.h"
#include "trainer/served_model.h"

int main(int argc, char** argv) try {
  if (argc < 3) {
    fmt::print(stderr, "usage: example MODEL TEXT ...\n");
    return 64;
  }
  heddle::PosixFileSystem files;
  const auto served = heddle::load_served_model(files, argv[1]);  // a Hugging Face folder or a run
  const std::vector<std::string> texts(argv + 2, argv + argc);

  const heddle::NoGrad no_grad;
  const heddle::Batch batch = served->batch(texts);                 // T tokens of S texts
  const heddle::Tensor hidden = served->model.encoder(batch);       // [T, H]
  const heddle::Tensor logits = served->model.head(hidden, batch);  // [S, labels]
  const heddle::Tensor scores = heddle::softmax(logits);            // [S, labels]

  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int64_t begin = batch.segments.begin(s), end = batch.segments.end(s);
    const auto row = scores.rows(s, s + 1).span<const float>();
    const auto best = std::max_element(row.begin(), row.end());
    fmt::print("{}\n  ids    {}\n  hidden {}\n  label  {} {:.4f}\n", texts[static_cast<size_t>(s)],
               batch.ids.rows(begin, end).span<const int32_t>(), hidden.rows(begin, end).shape(),
               served->config.labels[static_cast<size_t>(best - row.begin())], *best);
  }
} catch (const std::exception& error) {
  fmt::print(stderr, "example: {}\n", error.what());
  return 1;
}
