#include "framework/parallel/column_linear.h"

namespace heddle {

ColumnLinear::ColumnLinear(int64_t in, int64_t out, const Group& group,
                           const ColumnLinearOptions& options)
    : group(group) {
  check(out % options.blocks == 0, "[column_linear] {} outputs in {} equal blocks.", out,
        options.blocks);
  for (int p = group.first(); p < group.first() + group.count(); ++p) {
    const Range range = group.elements(out / options.blocks, options.units, p);
    parts.emplace_back(
        in, out, LinearOptions{.deviation = options.deviation, .activation = options.activation},
        Shard{.dim = 0, .begin = range.begin, .extent = range.size(), .blocks = options.blocks});
  }
}

Parts ColumnLinear::operator()(const Tensor& x) const {
  const ProfiledModule span(path);
  Parts y = share(x, group);
  for (size_t p = 0; p < parts.size(); ++p) y.tensors[p] = parts[p](y.tensors[p]);
  return y;
}

void ColumnLinear::visit(Visitor& v) {
  for (Linear& part : parts) v("weight", part.weight);
  for (Linear& part : parts) v("bias", part.bias);
}

}  // namespace heddle
