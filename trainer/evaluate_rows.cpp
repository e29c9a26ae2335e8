#include "trainer/evaluate_rows.h"

#include <vector>

#include "trainer/row_truth.h"
#include "trainer/row_windows.h"
#include "trainer/shared_input.h"

namespace heddle {

MetricReport evaluate_rows(const ServedModel& served, const DataSource& input, int64_t skip_bad,
                           const Device& device, const Mesh& mesh) {
  RowTruth truth(served.config);
  std::vector<float> all_logits;

  BadRows bad(skip_bad);
  ExampleReader examples(with_shared_input(input, mesh), bad);
  const size_t column = examples.label_column().value();
  // A row whose label is bad counts as bad when its logits are there.
  const auto keep = [&](const Row& row, std::span<const float> logits) {
    try {
      truth.add(row, column);
    } catch (const RowError& error) {
      return bad.add(error);
    }
    all_logits.insert(all_logits.end(), logits.begin(), logits.end());
  };
  RowWindows windows(examples, row_tokenizers(served.tokenizer, served.text.encode_options())(),
                     bad);
  const RowLogits answers = {
      .model = served.model, .device = device, .mesh = mesh, .on_row = keep, .on_window = {}};
  if (answers.run(windows) == 0 || (mesh.is_root() && all_logits.empty())) {
    throw Error(ExitCode::kInput, fmt::format("{}: has no row to evaluate", input.paths.front()));
  }
  if (!mesh.is_root()) return {};
  return evaluate(truth.predictions(all_logits));
}

}  // namespace heddle
