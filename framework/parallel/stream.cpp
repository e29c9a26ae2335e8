#include "framework/parallel/stream.h"

#include <memory>

#include "framework/autograd/record.h"

namespace heddle {
namespace {

std::shared_ptr<const RowShare> share_of(const Group& group, int64_t tokens) {
  if (!group.splits_stream()) return nullptr;
  return std::make_shared<const RowShare>(RowShare{
      .offsets = share_rows(*leaves_of(tokens), group.size()),
      .rank = group.index(),
      .all_gather = [group](const Tensor& tensor, std::span<const int64_t> offsets,
                            const char* name) { group.all_gather(tensor, offsets, name); }});
}

Tensor own_rows(const Tensor& x, const RowShare& share) {
  check(x.dim(0) == share.whole(), "[stream] {} rows; {} are shared.", x.dim(0), share.whole());
  return x.rows(share.begin(), share.end());
}

}  // namespace

StreamScope::StreamScope(const Group& group, int64_t tokens) : share_(share_of(group, tokens)) {}

Tensor gather_rows(const Tensor& x, const RowShare& share, const char* name) {
  check(x.dim(0) == share.size(), "[stream] {} rows of a share of {}.", x.dim(0), share.size());
  Tensor whole = Tensor::empty({share.whole(), x.dim(1)}, x.dtype(), x.device());
  own_rows(whole, share).copy_from(x);
  share.all_gather(whole, share.offsets, name);
  return whole;
}

Tensor split_rows(const Tensor& x) {
  const auto share = row_share();
  if (!share) return x;
  return record(own_rows(x, *share).clone(), {x}, [share](const Tensor& dy) {
    return Gradients{gather_rows(dy, *share, "gradient of a split stream")};
  });
}

Tensor whole_rows(const Tensor& x) {
  const auto share = row_share();
  if (!share) return x;
  return record(gather_rows(x, *share, "stream"), {x},
                [share](const Tensor& dy) { return Gradients{own_rows(dy, *share).clone()}; });
}

Tensor own_rows(const Tensor& keys) {
  const auto share = row_share();
  return share ? own_rows(keys, *share) : keys;
}

}  // namespace heddle
