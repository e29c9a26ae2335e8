#include "framework/ops/gather_rows.h"

#include "framework/device/profile.h"
#include "framework/ops/detail/bytes_of.h"

namespace heddle {
namespace {

Tensor gather(const Tensor& x, const Segments& segments, kernels::Pooling pooling) {
  check(x.ndim() == 2 && x.dim(0) == segments.rows(),
        "[gather_rows] x has shape {}, the segments {} rows. Expected [T, H].", x.shape(),
        segments.rows());
  for (int64_t s = 0; s < segments.count(); ++s) {
    check(segments.length(s) > 0, "[gather_rows] sequence {} is empty.", s);
  }
  const ProfiledSpan span("gather_rows", name_of(x.dtype()));
  Tensor y = Tensor::empty({segments.count(), x.dim(1)}, x.dtype(), x.device());
  on_device(x.device(), [&](auto on) { kernels::gather_rows(on, x, segments, pooling, y); });
  const bool mean = pooling == kernels::Pooling::kMean;
  count_work({.moved_bytes = bytes_of(y) + (mean ? bytes_of(x) : bytes_of(y))});
  return record(y, {x}, [segments, pooling, shape = x.shape()](const Tensor& dy) {
    const ProfiledSpan span("gather_rows", name_of(dy.dtype()));
    Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
    on_device(dy.device(),
              [&](auto on) { kernels::gather_rows_backward(on, dy, segments, pooling, dx); });
    count_work({.moved_bytes = bytes_of(dy, dx)});
    return Gradients{dx};
  });
}

}  // namespace

Tensor first_rows(const Tensor& x, const Segments& segments) {
  return gather(x, segments, kernels::Pooling::kFirst);
}

Tensor last_rows(const Tensor& x, const Segments& segments) {
  return gather(x, segments, kernels::Pooling::kLast);
}

Tensor mean_rows(const Tensor& x, const Segments& segments) {
  return gather(x, segments, kernels::Pooling::kMean);
}

}  // namespace heddle
