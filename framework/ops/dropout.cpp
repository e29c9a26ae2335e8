#include "framework/ops/dropout.h"

#include "framework/device/profile.h"
#include "framework/ops/detail/bytes_of.h"

namespace heddle {

void check_dropout(const Dropout& options, int64_t rows, const char* op) {
  check(options.p >= 0 && options.p < 1, "[{}] dropout with p = {}. Expected 0 <= p < 1.", op,
        options.p);
  if (!options.active()) return;
  check(options.row_keys.defined() && options.row_keys.dtype() == DType::kI64 &&
            options.row_keys.shape() == Shape{rows},
        "[{}] dropout needs row_keys, i64 [{}].", op, rows);
}

Tensor dropout(const Tensor& x, const Dropout& options) {
  check(x.ndim() == 2, "[dropout] x has shape {}. Expected [rows, features].", x.shape());
  check_dropout(options, x.dim(0), "dropout");
  if (!options.active()) return x;
  const auto apply = [](const Tensor& x, const Dropout& options) {
    const ProfiledSpan span("dropout", name_of(x.dtype()));
    Tensor y = Tensor::empty_like(x);
    on_device(x.device(), [&](auto on) { kernels::dropout(on, x, options, y); });
    count_work({.element_bytes = bytes_of(y), .moved_bytes = bytes_of(x, y)});
    return y;
  };
  return record(apply(x, options), {x},
                [apply, options](const Tensor& dy) { return Gradients{apply(dy, options)}; });
}

}  // namespace heddle
