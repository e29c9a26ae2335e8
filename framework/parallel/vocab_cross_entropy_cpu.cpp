#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "framework/ops/detail/leaf_sum.h"
#include "framework/ops/detail/parallel_rows.h"
#include "framework/parallel/tree.h"
#include "framework/parallel/vocab_cross_entropy.h"

namespace heddle::kernels {
namespace {

constexpr int64_t kExpCost = 20;  // of an exponential, in additions
constexpr float kLowest = -std::numeric_limits<float>::infinity();

// exp(x - maximum) summed in order; 0 if there is nothing but -infinity.
double sum_of_exponentials(std::span<const float> x, float maximum) {
  if (maximum == kLowest) return 0;
  double sum = 0;
  for (const float value : x) sum += std::exp(static_cast<double>(value) - maximum);
  return sum;
}

// The largest, or what is no number if there is such.
float maximum_of(std::span<const float> x) {
  float maximum = kLowest;
  for (const float value : x) {
    if (!(value <= maximum)) maximum = value;
    if (std::isnan(maximum)) break;
  }
  return maximum;
}

struct RowSoftmax {
  double maximum = 0;
  double sum = 0;
};

// Of the whole row, from the numbers of all parts.
RowSoftmax merge_parts(const float* numbers, std::span<double> scratch) {
  const auto number = [&](size_t part, VocabNumber which) {
    return static_cast<double>(numbers[part * kVocabNumbers + which]);
  };
  RowSoftmax row{.maximum = number(0, kVocabMaximum)};
  for (size_t p = 1; p < scratch.size(); ++p) {
    const double maximum = number(p, kVocabMaximum);
    if (!(maximum <= row.maximum)) row.maximum = maximum;
  }
  for (size_t p = 0; p < scratch.size(); ++p) {
    const double sum = number(p, kVocabSum);
    scratch[p] = sum == 0 ? 0 : sum * std::exp(number(p, kVocabMaximum) - row.maximum);
  }
  row.sum = tree_sum(scratch);
  return row;
}

}  // namespace

void vocab_statistics(Cpu on, const VocabSlice& slice, int part, const Tensor& table) {
  const int64_t words = slice.logits.dim(1);
  const int64_t parts = table.dim(1);
  const auto* labels = slice.labels.data<int32_t>();
  parallel_rows(on, slice.logits.dim(0), kExpCost * words, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* x = slice.logits.data<float>() + row * words;
      float* to = table.data<float>() + (row * parts + part) * kVocabNumbers;
      const std::span<const float> values(x, static_cast<size_t>(words));
      to[kVocabMaximum] = maximum_of(values);
      to[kVocabSum] = static_cast<float>(sum_of_exponentials(values, to[kVocabMaximum]));
      const int64_t label = labels[row] - slice.begin;
      if (label >= 0 && label < words) to[kVocabLabel] = x[label];
    }
  });
}

double vocab_cross_entropy(Cpu, const Tensor& table, const Tensor& labels,
                           const VocabCrossEntropyOptions& options, const Tensor& softmax) {
  const int64_t rows = labels.dim(0);
  const int64_t parts = table.dim(1);
  std::vector<double> scratch(static_cast<size_t>(parts));
  std::vector<double> values(static_cast<size_t>(rows));
  for (int64_t row = 0; row < rows; ++row) {
    float* saved = softmax.data<float>() + row * 2;
    const int32_t label = labels.data<int32_t>()[row];
    if (label == options.ignored_label) {
      saved[0] = saved[1] = 0;
      continue;
    }
    check(label >= 0 && label < options.vocabulary,
          "[vocab_cross_entropy] label {} at row {} of logits for {} words.", label, row,
          options.vocabulary);
    const float* numbers = table.data<float>() + row * parts * kVocabNumbers;
    const RowSoftmax all = merge_parts(numbers, scratch);
    saved[0] = static_cast<float>(all.maximum);
    saved[1] = static_cast<float>(all.sum);
    double of_label = -0.0;  // one part has it; the others have -0
    for (int64_t p = 0; p < parts; ++p) of_label += numbers[p * kVocabNumbers + kVocabLabel];
    values[static_cast<size_t>(row)] = std::log(all.sum) - (of_label - all.maximum);
  }
  return sum_over_leaves(values);
}

void vocab_cross_entropy_backward(Cpu on, const VocabSlice& slice, const Tensor& softmax,
                                  const Tensor& dy, const Tensor& dlogits) {
  const int64_t words = slice.logits.dim(1);
  const double factor = *dy.data<float>();
  parallel_rows(on, slice.logits.dim(0), kExpCost * words, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* x = slice.logits.data<float>() + row * words;
      float* to = dlogits.data<float>() + row * words;
      const double maximum = softmax.data<float>()[row * 2];
      const double sum = softmax.data<float>()[row * 2 + 1];
      if (sum == 0) {
        std::fill_n(to, words, 0.0f);
        continue;
      }
      const int64_t label = slice.labels.data<int32_t>()[row] - slice.begin;
      for (int64_t i = 0; i < words; ++i) {
        const double target = i == label ? 1 : 0;
        to[i] = static_cast<float>(factor * (std::exp(x[i] - maximum) / sum - target));
      }
    }
  });
}

}  // namespace heddle::kernels
