// GFLOP/s of a linear layer's three products on MiniLM's shapes, in fast (one leaf) and canonical
// (eight leaves) numerics, as a share of what oneDNN's own matmul reaches at M = 512 at that
// moment.
//
//   linear_speed [threads]      one JSON line per shape and number of rows
#include <omp.h>
#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <vector>

#include <fmt/format.h>

#include "framework/autograd/leaves.h"
#include "framework/ops/linear.h"

namespace {

using heddle::Activation;
using heddle::LeafOffsets;
using heddle::Tensor;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The least seconds of each function, which other programs on the machine disturb least. The
// functions take turns, so that they find the caches as a training step does.
std::vector<double> least_seconds(const std::vector<std::function<void()>>& functions,
                                  double budget) {
  std::vector<double> least(functions.size(), 1e9);
  const double start = seconds_now();
  for (int turn = 0; turn < 8 || seconds_now() - start < budget; ++turn) {
    for (size_t i = 0; i < functions.size(); ++i) {
      const double before = seconds_now();
      functions[i]();
      least[i] = std::min(least[i], seconds_now() - before);
    }
  }
  return least;
}

Tensor numbers(const heddle::Shape& shape, const heddle::Device& device) {
  Tensor t = Tensor::empty(shape, heddle::DType::kF32, device);
  uint32_t state = 7;
  for (float& v : t.span<float>()) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
  }
  return t;
}

// oneDNN's own product with a layout of its choice, 512 rows, on one thread.
std::function<void()> library_product(int64_t out, int64_t in) {
  using dnnl::memory;
  const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  const auto f32 = memory::data_type::f32;
  const memory::desc a({512, in}, f32, memory::format_tag::ab);
  const memory::desc b({in, out}, f32, memory::format_tag::any);
  const memory::desc c({512, out}, f32, memory::format_tag::ab);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(cpu, a, b, c);
#else
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), cpu);
#endif
  memory ma(a, cpu), mb(description.weights_desc(), cpu), mc(c, cpu);
  for (memory* m : {&ma, &mb}) {
    std::fill_n(static_cast<float*>(m->get_data_handle()), m->get_desc().get_size() / 4, 0.5f);
  }
  return [=, product = dnnl::matmul(description), stream = dnnl::stream(cpu)]() mutable {
    product.execute(stream, {{DNNL_ARG_SRC, ma}, {DNNL_ARG_WEIGHTS, mb}, {DNNL_ARG_DST, mc}});
    stream.wait();
  };
}

LeafOffsets equal_leaves(int64_t rows, int64_t count) {
  LeafOffsets offsets;
  for (int64_t i = 0; i <= count; ++i) offsets.push_back(rows * i / count);
  return offsets;
}

void measure(heddle::ThreadPool& pool, int64_t out, int64_t in, int64_t rows) {
  namespace kernels = heddle::kernels;
  const heddle::Cpu on{&pool};
  const heddle::Device device = heddle::Device::cpu(&pool);
  const Tensor x = numbers({rows, in}, device), w = numbers({out, in}, device);
  const Tensor b = numbers({out}, device), dy = numbers({rows, out}, device);
  const Tensor dw = Tensor::empty_like(w), db = Tensor::empty_like(b);
  Tensor y = Tensor::empty_like(dy), dx = Tensor::empty_like(x), before,
         kept = Tensor::empty_like(y);
  const heddle::PackedWeight packed = heddle::PackedWeight::forward(w);
  const LeafOffsets one = equal_leaves(rows, 1), eight = equal_leaves(rows, 8);
  const auto forward = [&, rows](Activation activation, Tensor& keep) {
    return [&, activation, rows] {
      kernels::linear(on, x, heddle::PackedWeight::forward(w, rows), b, activation, y, keep);
    };
  };
  const auto weight_gradient = [&](const LeafOffsets& leaves) {
    return [&] { kernels::linear_weight_gradient(on, dy, x, leaves, dw, db); };
  };
  const std::vector<double> s = least_seconds(
      {library_product(out, in), forward(Activation::kNone, before),
       forward(Activation::kGelu, kept),
       [&] { kernels::linear(on, x, packed, b, Activation::kNone, y, before); },
       [&] { kernels::linear_input_gradient(on, dy, heddle::PackedWeight::backward(w, rows), dx); },
       weight_gradient(one), weight_gradient(eight)},
      0.5);
  const double flops = 2.0 * static_cast<double>(rows * out * in) / 1e9;
  const double limit = 2.0 * 512.0 * static_cast<double>(out * in) / 1e9 / s[0];
  const double fast = 3 * flops / (s[1] + s[4] + s[5]);
  const double canonical = 3 * flops / (s[1] + s[4] + s[6]);
  fmt::print(
      "{{\"benchmark\": \"linear\", \"threads\": {}, \"out\": {}, \"in\": {}, \"rows\": {}, "
      "\"limit_one_thread\": {:.1f}, \"forward\": {:.1f}, \"forward_gelu\": {:.1f}, "
      "\"forward_packed\": {:.1f}, \"input_gradient\": {:.1f}, \"weight_gradient_fast\": {:.1f}, "
      "\"weight_gradient_8_leaves\": {:.1f}, \"fast\": {:.1f}, \"canonical\": {:.1f}, "
      "\"share_fast\": {:.3f}, \"share_canonical\": {:.3f}}}\n",
      pool.threads(), out, in, rows, limit, flops / s[1], flops / s[2], flops / s[3], flops / s[4],
      flops / s[5], flops / s[6], fast, canonical, fast / limit / pool.threads(),
      canonical / limit / pool.threads());
}

}  // namespace

int main(int argc, char** argv) {
  omp_set_num_threads(1);  // oneDNN's own product is the limit of one thread
  heddle::ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : 1);
  for (const int64_t rows : {10, 54, 432, 2048}) {
    for (const auto& [out, in] :
         {std::pair<int64_t, int64_t>{384, 384}, {1152, 384}, {1536, 384}, {384, 1536}}) {
      measure(pool, out, in, rows);
    }
  }
}
