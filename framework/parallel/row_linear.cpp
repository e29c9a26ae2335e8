#include "framework/parallel/row_linear.h"

namespace heddle {

RowLinear::RowLinear(int64_t in, int64_t out, const Group& group, const RowLinearOptions& options)
    : group(group) {
  const bool one = group.parts() == 1;
  for (int p = group.first(); p < group.first() + group.count(); ++p) {
    const Range range = group.elements(in, options.units, p);
    parts.emplace_back(in, out, LinearOptions{.bias = one, .deviation = options.deviation},
                       Shard{.dim = 1, .begin = range.begin, .extent = range.size()});
  }
  if (!one) bias = Parameter({out});
}

Tensor RowLinear::operator()(const Parts& x) const {
  const ProfiledModule span(path);
  if (group.parts() == 1) return parts[0](x.tensors[0]);
  Parts products;
  for (size_t p = 0; p < parts.size(); ++p) products.tensors.push_back(parts[p](x.tensors[p]));
  return sum(products, bias.value, group);
}

void RowLinear::visit(Visitor& v) {
  for (Linear& part : parts) v("weight", part.weight);
  v("bias", group.parts() == 1 ? parts[0].bias : bias);
}

}  // namespace heddle
