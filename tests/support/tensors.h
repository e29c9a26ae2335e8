// Tensors for tests, and the comparisons that ops' tests are made of.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "framework/autograd/record.h"
#include "framework/core/random.h"

namespace heddle {

// Uniform values in [low, high], the same for the same name.
inline Tensor random_tensor(const Shape& shape, const std::string& name, float low = -1,
                            float high = 1, const Device& device = Device::cpu()) {
  Tensor t = Tensor::empty(shape, DType::kF32, device);
  fill_uniform(t.span<float>(), 1234, name_stream(name), 0, low, high);
  return t;
}

template <typename T>
Tensor tensor_of(const std::vector<T>& values, const Device& device = Device::cpu()) {
  return Tensor::from<T>(values, {static_cast<int64_t>(values.size())}, device);
}

// Values rounded to bf16, and back, exactly.
inline Tensor to_bf16(const Tensor& t) {
  Tensor rounded = Tensor::empty(t.shape(), DType::kBF16, t.device());
  for (int64_t i = 0; i < t.numel(); ++i) {
    rounded.data<BFloat16>()[i].bits = f32_to_bf16(t.data<float>()[i]);
  }
  return rounded;
}
inline Tensor to_f32(const Tensor& t) {
  Tensor wide = Tensor::empty(t.shape(), DType::kF32, t.device());
  for (int64_t i = 0; i < t.numel(); ++i) {
    wide.data<float>()[i] = bf16_to_f32(t.data<BFloat16>()[i].bits);
  }
  return wide;
}

// Keys for dropout of rows of `samples` sequences of the given lengths.
inline Tensor row_keys(const std::vector<int64_t>& lengths, int64_t first_sample = 0) {
  std::vector<int64_t> keys;
  for (size_t s = 0; s < lengths.size(); ++s) {
    for (int64_t i = 0; i < lengths[s]; ++i) {
      keys.push_back((first_sample + static_cast<int64_t>(s)) << 16 | i);
    }
  }
  return tensor_of(keys);
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (a.numel() == 0 || std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0);
}

// Within `tolerance` of values computed in double.
inline void expect_near(const Tensor& t, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(t.numel(), static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(t.data<float>()[i], expected[i], tolerance) << "at element " << i;
  }
}

// The same bits of all results with 1, 2 and 3 threads.
inline void expect_same_bits_on_any_threads(
    const std::function<std::vector<Tensor>(const Device&)>& f) {
  const std::vector<Tensor> expected = f(Device::cpu());
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    const std::vector<Tensor> got = f(Device::cpu(&pool));
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_TRUE(same_bits(got[i], expected[i]))
          << "result " << i << ", " << threads << " threads";
    }
  }
}

// The same tensor on another device of the same type (another pool).
inline Tensor on(const Device& device, const Tensor& t) {
  Tensor copy = Tensor::empty(t.shape(), t.dtype(), device);
  copy.copy_from(t);
  return copy;
}

// The gradient of a variable after backward(), as a dense tensor.
inline Tensor dense_gradient(const Tensor& x) {
  const Gradient& g = variable_state(x).gradient;
  if (!g.defined()) return Tensor::zeros_like(x.detach());
  if (!g.sparse()) return g.values;
  Tensor dense = Tensor::zeros_like(x.detach());
  const int64_t width = x.dim(1);
  for (int64_t r = 0; r < g.rows.numel(); ++r) {
    dense.rows(g.rows.data<int32_t>()[r], g.rows.data<int32_t>()[r] + 1)
        .reshape({width})
        .copy_from(g.values.rows(r, r + 1).reshape({width}));
  }
  return dense;
}

}  // namespace heddle
