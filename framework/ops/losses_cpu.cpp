#include <algorithm>
#include <cmath>
#include <vector>

#include "framework/ops/detail/leaf_sum.h"
#include "framework/ops/detail/parallel_rows.h"
#include "framework/ops/losses.h"

namespace heddle::kernels {
namespace {

constexpr int64_t kExpCost = 20;  // of an exponential, in additions

// The rows' values, each made by `row_value(row)` on any thread, summed by leaves and the tree.
template <typename RowValue>
double sum_rows(Cpu on, int64_t rows, int64_t cost, RowValue&& row_value) {
  std::vector<double> values(static_cast<size_t>(rows));
  parallel_rows(on, rows, cost, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) values[static_cast<size_t>(row)] = row_value(row);
  });
  return sum_over_leaves(values);
}

const float* row_of(const Tensor& t, int64_t row) {
  return t.data<float>() + row * t.dim(1);
}

float* gradient_row(const Tensor& t, int64_t row) {
  return t.defined() ? t.data<float>() + row * t.dim(1) : nullptr;
}

}  // namespace

double cross_entropy(Cpu on, const Tensor& logits, const Tensor& labels, float label_smoothing,
                     const Tensor& gradient) {
  const int64_t classes = logits.dim(1);
  for (int64_t row = 0; row < labels.dim(0); ++row) {
    const int32_t label = labels.data<int32_t>()[row];
    check(label >= 0 && label < classes,
          "[cross_entropy] label {} at row {} of logits with {} classes.", label, row, classes);
  }
  const double smooth = label_smoothing / static_cast<double>(classes);
  return sum_rows(on, logits.dim(0), kExpCost * classes, [&](int64_t row) {
    const float* x = row_of(logits, row);
    const int32_t label = labels.data<int32_t>()[row];
    const double maximum = *std::max_element(x, x + classes);
    double sum = 0;
    double shifted = 0;  // of all classes, for smoothing
    for (int64_t c = 0; c < classes; ++c) {
      sum += std::exp(x[c] - maximum);
      shifted += x[c] - maximum;
    }
    const double log_sum = std::log(sum);
    if (float* g = gradient_row(gradient, row)) {
      for (int64_t c = 0; c < classes; ++c) {
        const double target = smooth + (c == label ? 1.0 - label_smoothing : 0.0);
        g[c] = static_cast<float>(std::exp(x[c] - maximum) / sum - target);
      }
    }
    const double of_label = log_sum - (x[label] - maximum);
    const double of_all = static_cast<double>(classes) * log_sum - shifted;
    return (1.0 - label_smoothing) * of_label + smooth * of_all;
  });
}

double binary_cross_entropy(Cpu on, const Tensor& logits, const Tensor& targets,
                            const Tensor& gradient) {
  const int64_t classes = logits.dim(1);
  return sum_rows(on, logits.dim(0), kExpCost * classes, [&](int64_t row) {
    const float* x = row_of(logits, row);
    const float* target = row_of(targets, row);
    float* g = gradient_row(gradient, row);
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) {
      // log(1 + exp(-|x|)) cannot overflow.
      const double logit = x[c];
      const double small = std::exp(-std::abs(logit));
      sum += std::max(logit, 0.0) - logit * target[c] + std::log1p(small);
      const double probability = (logit >= 0 ? 1.0 : small) / (1.0 + small);
      if (g) g[c] = static_cast<float>(probability - target[c]);
    }
    return sum;
  });
}

double squared_error(Cpu on, const Tensor& predictions, const Tensor& targets,
                     const Tensor& gradient) {
  const int64_t width = predictions.dim(1);
  return sum_rows(on, predictions.dim(0), width, [&](int64_t row) {
    const float* x = row_of(predictions, row);
    const float* target = row_of(targets, row);
    float* g = gradient_row(gradient, row);
    double sum = 0;
    for (int64_t c = 0; c < width; ++c) {
      const double difference = static_cast<double>(x[c]) - target[c];
      sum += difference * difference;
      if (g) g[c] = static_cast<float>(2.0 * difference);
    }
    return sum;
  });
}

void set_scalar(Cpu, const Tensor& scalar, double value) {
  *scalar.data<float>() = static_cast<float>(value);
}

void scale(Cpu, const Tensor& x, const Tensor& factor, Tensor& y) {
  const float f = *factor.data<float>();
  std::ranges::transform(x.span<float>(), y.data<float>(), [f](float v) { return f * v; });
}

}  // namespace heddle::kernels
