#include "framework/ops/dropout.h"

#include "framework/device/work.h"

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
    Tensor y = Tensor::empty_like(x);
    on_device(x.device(), [&](auto on) { kernels::dropout(on, x, options, y); });
    if (x.device().is_meta()) count_work({.element_bytes = static_cast<double>(y.bytes())});
    return y;
  };
  return record(apply(x, options), {x},
                [apply, options](const Tensor& dy) { return Gradients{apply(dy, options)}; });
}

}  // namespace heddle
