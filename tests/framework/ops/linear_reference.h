// Plain double-precision loops that the linear kernels are compared with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/core/tensor.h"
#include "tests/support/expect_throw.h"

namespace heddle {

// Numbers in [-1, 1) that depend on the seed.
inline Tensor noise(const Shape& shape, uint64_t seed, const Device& device = Device::cpu()) {
  Tensor t = Tensor::empty(shape, DType::kF32, device);
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  for (float& v : t.span<float>()) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    v = static_cast<float>(static_cast<int32_t>(state >> 32)) * 0x1p-31f;
  }
  return t;
}

inline std::vector<float> slice(const std::vector<float>& v, int64_t begin, int64_t count) {
  return {v.begin() + begin, v.begin() + begin + count};
}

inline std::vector<float> values(const Tensor& t) {
  const std::span<float> s = t.span<float>();
  return {s.begin(), s.end()};
}

// The largest |a - b| / (1 + |b|).
inline double largest_error(std::span<const float> a, std::span<const double> b) {
  double worst = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double error = std::abs(a[i] - b[i]) / (1 + std::abs(b[i]));
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

// x [T, in] · w [out, in] transposed.
inline std::vector<double> reference_forward(const Tensor& x, const Tensor& w) {
  std::vector<double> y;
  for (int64_t t = 0; t < x.dim(0); ++t) {
    for (int64_t o = 0; o < w.dim(0); ++o) {
      double sum = 0;
      for (int64_t i = 0; i < w.dim(1); ++i) {
        sum += double{x.data<float>()[t * w.dim(1) + i]} * w.data<float>()[o * w.dim(1) + i];
      }
      y.push_back(sum);
    }
  }
  return y;
}

// dy [T, out] · w [out, in].
inline std::vector<double> reference_input_gradient(const Tensor& dy, const Tensor& w) {
  std::vector<double> dx(static_cast<size_t>(dy.dim(0) * w.dim(1)), 0.0);
  for (int64_t t = 0; t < dy.dim(0); ++t) {
    for (int64_t o = 0; o < w.dim(0); ++o) {
      for (int64_t i = 0; i < w.dim(1); ++i) {
        dx[static_cast<size_t>(t * w.dim(1) + i)] +=
            double{dy.data<float>()[t * w.dim(0) + o]} * w.data<float>()[o * w.dim(1) + i];
      }
    }
  }
  return dx;
}

// dy [T, out] transposed · x [T, in].
inline std::vector<double> reference_weight_gradient(const Tensor& dy, const Tensor& x) {
  std::vector<double> dw(static_cast<size_t>(dy.dim(1) * x.dim(1)), 0.0);
  for (int64_t t = 0; t < dy.dim(0); ++t) {
    for (int64_t o = 0; o < dy.dim(1); ++o) {
      for (int64_t i = 0; i < x.dim(1); ++i) {
        dw[static_cast<size_t>(o * x.dim(1) + i)] +=
            double{dy.data<float>()[t * dy.dim(1) + o]} * x.data<float>()[t * x.dim(1) + i];
      }
    }
  }
  return dw;
}

inline std::vector<double> reference_column_sums(const Tensor& dy) {
  std::vector<double> db(static_cast<size_t>(dy.dim(1)), 0.0);
  for (int64_t i = 0; i < dy.numel(); ++i) {
    db[static_cast<size_t>(i % dy.dim(1))] += dy.data<float>()[i];
  }
  return db;
}

}  // namespace heddle
