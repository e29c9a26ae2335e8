// Time of each op at the shapes of MiniLM's fine-tuning (32 sequences of 13 or 14 tokens) and of
// BERT-base (16 x 128), forward and backward, with what it means in GFLOP/s or GB/s. Attention also
// in bf16, and for rows of 15 tokens.
//
//   ops_speed [threads] [name]      only ops whose name contains `name`
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "framework/core/random.h"
#include "framework/ops/ops.h"
#include "framework/optim/adamw.h"
#include "framework/optim/sum_of_squares.h"

namespace {

using namespace heddle;  // NOLINT: a program of one file

struct Model {
  const char* name;
  int64_t sequences, tokens, hidden;
  int heads;
  int64_t inner;
};

class Bench {
 public:
  Bench(const Model& model, ThreadPool& pool, std::string only)
      : model_(model), device_(Device::cpu(&pool)), only_(std::move(only)) {
    std::vector<int32_t> offsets;
    for (int64_t s = 0; s <= model.sequences; ++s) {
      offsets.push_back(static_cast<int32_t>(s * model.tokens / model.sequences));
    }
    segments_ = Segments::from(offsets, device_);
    std::vector<int64_t> keys(static_cast<size_t>(model.tokens));
    for (size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<int64_t>(i);
    keys_ = Tensor::from<int64_t>(keys, {model.tokens}, device_);
  }

  void run();
  void run_attention();

 private:
  Tensor random(const Shape& shape, float low = -1, float high = 1) const {
    Tensor t = Tensor::empty(shape, DType::kF32, device_);
    fill_uniform(t.span<float>(), 1, static_cast<uint64_t>(shape.numel()), 0, low, high);
    return t;
  }

  static Tensor to_bf16(const Tensor& x) {
    const Tensor y = Tensor::empty(x.shape(), DType::kBF16, x.device());
    for (int64_t i = 0; i < x.numel(); ++i) {
      y.data<BFloat16>()[i].bits = f32_to_bf16(x.data<float>()[i]);
    }
    return y;
  }

  // Best of many runs: this machine is not ours alone.
  void report(const std::string& name, const std::function<void()>& f, double flops, double bytes) {
    if (name.find(only_) == std::string::npos) return;
    using Clock = std::chrono::steady_clock;
    f();
    double best = 1e9;
    const auto start = Clock::now();
    for (int i = 0; i < 20 || Clock::now() - start < std::chrono::milliseconds(200); ++i) {
      const auto before = Clock::now();
      f();
      best = std::min(best, std::chrono::duration<double>(Clock::now() - before).count());
    }
    fmt::print("{:10} {:34} {:9.1f} us", model_.name, name, best * 1e6);
    if (flops > 0) fmt::print("  {:7.1f} GFLOP/s", flops / best * 1e-9);
    if (bytes > 0) fmt::print("  {:7.1f} GB/s", bytes / best * 1e-9);
    fmt::print("\n");
  }

  // Forward without a tape, and forward with backward, of an op with these inputs.
  void both(const std::string& name, const std::vector<Tensor>& inputs,
            const std::function<Tensor(const std::vector<Tensor>&)>& op, double flops,
            double bytes) {
    report(
        name, [&] { op(inputs); }, flops, bytes);
    Tensor dy = random(op(inputs).shape());
    if (inputs[0].dtype() == DType::kBF16) dy = to_bf16(dy);
    report(
        name + " + backward",
        [&] {
          std::vector<Tensor> variables;
          for (const Tensor& input : inputs) variables.push_back(variable(input));
          backward(op(variables), dy);
        },
        3.5 * flops, 3 * bytes);
  }

  Model model_;
  Device device_;
  std::string only_;
  Segments segments_;
  Tensor keys_;
};

void Bench::run_attention() {
  const int64_t hidden = model_.hidden;
  double scores = 0;
  for (int64_t s = 0; s < segments_.count(); ++s) {
    scores += static_cast<double>(segments_.length(s) * segments_.length(s));
  }
  const double attention_flops = 4 * scores * static_cast<double>(hidden);
  AttentionOptions options{.heads = model_.heads,
                           .scale = 1 / std::sqrt(static_cast<float>(hidden / model_.heads))};
  const Tensor qkv = random({model_.tokens, 3 * hidden}), qkv_bf16 = to_bf16(qkv);
  const auto attend = [&](const std::vector<Tensor>& in) {
    return attention(in[0], segments_, options);
  };
  both("attention", {qkv}, attend, attention_flops, 0);
  both("attention, bf16", {qkv_bf16}, attend, attention_flops, 0);
  options.dropout = {.p = 0.1f, .seed = 1, .step = 1, .layer = 1, .row_keys = keys_};
  both("attention, dropout", {qkv}, attend, attention_flops, 0);
  both("attention, dropout, bf16", {qkv_bf16}, attend, attention_flops, 0);
}

void Bench::run() {
  const int64_t rows = model_.tokens, hidden = model_.hidden;
  const double floats = static_cast<double>(rows * hidden) * 4;
  const Dropout drop{.p = 0.1f, .seed = 1, .step = 1, .layer = 1, .row_keys = keys_};
  run_attention();

  const Tensor x = random({rows, hidden}), residual = random({rows, hidden});
  const Tensor gamma = random({hidden}), beta = random({hidden});
  both(
      "layer_norm", {x, gamma, beta},
      [](const auto& in) { return layer_norm(in[0], in[1], in[2], 1e-12f); }, 0, 2 * floats);
  both(
      "add_layer_norm", {x, residual, gamma, beta},
      [](const auto& in) { return dropout_add_layer_norm(in[0], in[1], in[2], in[3], 1e-12f, {}); },
      0, 3 * floats);
  both(
      "dropout_add_layer_norm", {x, residual, gamma, beta},
      [&](const auto& in) {
        return dropout_add_layer_norm(in[0], in[1], in[2], in[3], 1e-12f, drop);
      },
      0, 3 * floats);
  both(
      "dropout", {x}, [&](const auto& in) { return dropout(in[0], drop); }, 0, 2 * floats);

  const Tensor wide = random({rows, model_.inner}, -4, 4);
  both(
      "gelu", {wide}, [](const auto& in) { return gelu(in[0]); }, 0,
      8.0 * static_cast<double>(wide.numel()));

  std::vector<int32_t> ids, positions, types;
  for (int64_t i = 0; i < rows; ++i) {
    ids.push_back(static_cast<int32_t>(i * i % 30522));
    positions.push_back(static_cast<int32_t>(i % (rows / model_.sequences)));
    types.push_back(0);
  }
  const auto index = [&](const std::vector<int32_t>& v) {
    return Tensor::from<int32_t>(v, {rows}, device_);
  };
  const Tensor id = index(ids), position = index(positions), type = index(types);
  both(
      "embedding_sum", {random({30522, hidden}), random({512, hidden}), random({2, hidden})},
      [&](const auto& in) {
        return embedding_sum({.word = in[0], .position = in[1], .type = in[2]}, id, position, type);
      },
      0, 4 * floats);
  both(
      "first_rows", {x}, [&](const auto& in) { return first_rows(in[0], segments_); }, 0, 0);
  const Tensor logits = random({model_.sequences, 2});
  const Tensor labels = Tensor::zeros({model_.sequences}, DType::kI32, device_);
  both(
      "cross_entropy", {logits},
      [&](const auto& in) { return cross_entropy_sum(in[0], labels).sum; }, 0, 0);

  // A tenth of MiniLM's parameters, so that nothing stays in cache.
  const int64_t n = 1 << 22;
  const Tensor w = random({n}), g = random({n}), m = Tensor::zeros({n}), v = Tensor::zeros({n});
  const Cpu cpu{device_.pool()};
  report(
      "adamw, 4M",
      [&] {
        kernels::adamw_update(cpu, w.span<float>(), g.span<const float>(), m.span<float>(),
                              v.span<float>(), {});
      },
      0, 28.0 * static_cast<double>(n));
  report(
      "sum_of_squares, 4M", [&] { kernels::sum_of_squares(cpu, g.span<const float>(), 0); }, 0,
      4.0 * static_cast<double>(n));
}

}  // namespace

int main(int argc, char** argv) {
  ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : 1);
  const std::string only = argc > 2 ? argv[2] : "";
  Bench({"minilm-15", 29, 432, 384, 12, 1536}, pool, only).run_attention();
  for (const Model& model :
       {Model{"minilm", 32, 432, 384, 12, 1536}, Model{"bert-base", 16, 2048, 768, 12, 3072}}) {
    Bench(model, pool, only).run();
  }
}
