#include <omp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "framework/core/error.h"
#include "framework/ops/detail/gemm.h"
#include "framework/ops/detail/gemm_onednn.h"

namespace heddle::kernels {
namespace {

using dnnl::memory;

// Where the kernels are at their best, in order of preference. 72 is a multiple of the row counts
// of AVX2 (6) and AVX-512 (8, 12, 24) kernels: no rest within a block.
constexpr std::array<int64_t, 7> kBlockHeights = {72, 64, 48, 24, 16, 8, 1};
// The heights of a rest: few, so that few kernels are made; close, so that few rows are padding.
constexpr int64_t kHeightStep = 4;

// oneDNN works with OpenMP's threads; here the pool's threads each call it for themselves.
class OneOpenMPThread {
 public:
  OneOpenMPThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneOpenMPThread() { omp_set_num_threads(before_); }
  OneOpenMPThread(const OneOpenMPThread&) = delete;
  OneOpenMPThread& operator=(const OneOpenMPThread&) = delete;

 private:
  int before_;
};

memory::desc strided(int64_t rows, int64_t columns, int64_t row_stride, int64_t column_stride) {
  return {{rows, columns}, memory::data_type::f32, memory::dims{row_stride, column_stride}};
}

// Numbers in [-1, 1) with all bits of the mantissa at work, the same ones each time.
void fill(std::vector<float>& values) {
  uint32_t state = 1;
  for (float& v : values) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
  }
}

bool same_bits(const float* a, const float* b, int64_t n) {
  return std::memcmp(a, b, static_cast<size_t>(n) * sizeof(float)) == 0;
}

}  // namespace

// What one call of a product needs besides the product; kept for the next call.
struct Call {
  dnnl::stream stream;
  memory a, b, c, scratch;
};

struct Gemm::Product {
  dnnl::engine engine;
  memory::desc a, b, c, scratch;
  dnnl::matmul matmul;
  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<Call>> idle;

  std::unique_ptr<Call> take() const {
    {
      const std::lock_guard lock(mutex);
      if (!idle.empty()) {
        std::unique_ptr<Call> call = std::move(idle.back());
        idle.pop_back();
        return call;
      }
    }
    return std::make_unique<Call>(Call{dnnl::stream(engine), memory(a, engine, nullptr),
                                       memory(b, engine, nullptr), memory(c, engine, nullptr),
                                       memory(scratch, engine)});
  }
  void give(std::unique_ptr<Call> call) const {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(call));
  }

  void run(const float* from, const float* packed, float* to) const {
    const OneOpenMPThread one;
    std::unique_ptr<Call> call = take();
    call->a.set_data_handle(const_cast<float*>(from));
    call->b.set_data_handle(const_cast<float*>(packed));
    call->c.set_data_handle(to);
    // The C interface: the C++ one builds a map and two vectors for each call.
    const std::array<dnnl_exec_arg_t, 4> arguments = {{{DNNL_ARG_SRC, call->a.get()},
                                                       {DNNL_ARG_WEIGHTS, call->b.get()},
                                                       {DNNL_ARG_DST, call->c.get()},
                                                       {DNNL_ARG_SCRATCHPAD, call->scratch.get()}}};
    const dnnl_status_t status = dnnl_primitive_execute(
        matmul.get(), call->stream.get(), static_cast<int>(arguments.size()), arguments.data());
    give(std::move(call));
    if (status != dnnl_success) {
      throw Error(ExitCode::kInternal,
                  fmt::format("oneDNN: a matrix product failed with status {}", int{status}));
    }
  }
};

struct Gemm::State {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  memory::desc packed;               // b's layout; the library's choice for the block height
  std::vector<float> row, expected;  // the trial: a row of a, and what it gives
  std::vector<float> packed_trial;   // b for the trial
  std::mutex mutex;                  // guards what follows
  std::map<int64_t, std::unique_ptr<Product>> products;  // by height; null: not to be used

  std::unique_ptr<Product> make(const Shape& shape, int64_t height, const memory::desc& b) const;
  bool bits_hold(const Shape& shape, int64_t height, const Product& product,
                 std::vector<float>& result) const;
};

std::unique_ptr<Gemm::Product> Gemm::State::make(const Shape& shape, int64_t height,
                                                 const memory::desc& b) const {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // threads share the primitive
  attributes.set_fpmath_mode(dnnl::fpmath_mode::strict);        // whatever the environment says
  auto product = std::make_unique<Product>();
  product->engine = engine;
  product->a = strided(height, shape.depth, shape.depth, 1);
  product->c = strided(height, shape.columns, shape.stride, 1);
  try {
    const auto description = describe_matmul(engine, product->a, b, product->c, attributes);
    product->b = description.weights_desc();
    product->scratch = description.scratchpad_desc();
    product->matmul = dnnl::matmul(description);
  } catch (const dnnl::error&) {
    return nullptr;
  }
  return product;
}

// True if the trial row gives the same bits in every place, and those of `result` if that is
// filled; fills it otherwise.
bool Gemm::State::bits_hold(const Shape& shape, int64_t height, const Product& product,
                            std::vector<float>& result) const {
  std::vector<float> a(static_cast<size_t>(height * shape.depth));
  std::vector<float> c(static_cast<size_t>((height - 1) * shape.stride + shape.columns));
  for (int64_t r = 0; r < height; ++r) std::ranges::copy(row, a.begin() + r * shape.depth);
  product.run(a.data(), packed_trial.data(), c.data());
  if (result.empty()) result.assign(c.begin(), c.begin() + shape.columns);
  for (int64_t r = 0; r < height; ++r) {
    if (!same_bits(c.data() + r * shape.stride, result.data(), shape.columns)) return false;
  }
  return true;
}

Gemm::Gemm(const Shape& shape) : shape_(shape), state_(std::make_unique<State>()) {
  check(shape.depth > 0 && shape.columns > 0 && shape.stride >= shape.columns,
        "[gemm] depth {}, columns {}, stride {}. Expected positive sizes and stride >= columns.",
        shape.depth, shape.columns, shape.stride);
  const OneOpenMPThread one;
  State& s = *state_;
  s.row.resize(static_cast<size_t>(shape.depth));
  fill(s.row);
  std::vector<float> plain(
      static_cast<size_t>(shape.depth_major ? (shape.depth - 1) * shape.stride + shape.columns
                                            : shape.depth * shape.columns));
  fill(plain);
  const memory::desc any({shape.depth, shape.columns}, memory::data_type::f32,
                         memory::format_tag::any);
  for (const int64_t height : kBlockHeights) {
    std::unique_ptr<Product> product = s.make(shape, height, any);
    if (!product) continue;
    s.packed = product->b;
    s.packed_trial.resize(static_cast<size_t>(packed_size()));
    pack(plain.data(), s.packed_trial.data());
    std::vector<float> result;
    if (!s.bits_hold(shape, height, *product, result)) continue;
    s.expected = std::move(result);
    s.products[height] = std::move(product);
    block_height_ = height;
    return;
  }
  throw Error(ExitCode::kInternal,
              fmt::format("oneDNN has no product of depth {} and {} columns on this machine",
                          shape.depth, shape.columns));
}

Gemm::~Gemm() = default;

std::shared_ptr<const Gemm> Gemm::get(const Shape& shape) {
  // A memo of what never changes once made, as the library itself keeps one: no state of the
  // program's. Never destroyed: threads may outlive static objects.
  struct Memo {
    std::mutex mutex;
    std::map<Shape, std::shared_ptr<const Gemm>> made;
  };
  static Memo& memo = *new Memo;
  const std::lock_guard lock(memo.mutex);
  std::shared_ptr<const Gemm>& gemm = memo.made[shape];
  if (!gemm) gemm = std::make_shared<const Gemm>(shape);
  return gemm;
}

Gemm::Block Gemm::block(int64_t rows) const {
  const std::lock_guard lock(state_->mutex);
  const int64_t least = (std::max<int64_t>(rows, 1) + kHeightStep - 1) / kHeightStep * kHeightStep;
  for (int64_t height = least; height < block_height_; height += kHeightStep) {
    const auto [at, is_new] = state_->products.try_emplace(height);
    if (is_new) {
      const OneOpenMPThread one;
      std::unique_ptr<Product> product = state_->make(shape_, height, state_->packed);
      std::vector<float> expected = state_->expected;
      if (product && state_->bits_hold(shape_, height, *product, expected)) {
        at->second = std::move(product);
      }
    }
    if (at->second) return {height, at->second.get()};
  }
  return {block_height_, state_->products.at(block_height_).get()};
}

int64_t Gemm::packed_size() const {
  return static_cast<int64_t>(state_->packed.get_size() / sizeof(float));
}

void Gemm::pack(const float* b, float* packed) const {
  const OneOpenMPThread one;
  const memory::desc plain = shape_.depth_major
                                 ? strided(shape_.depth, shape_.columns, shape_.stride, 1)
                                 : strided(shape_.depth, shape_.columns, 1, shape_.depth);
  memory from(plain, state_->engine, const_cast<float*>(b));
  memory to(state_->packed, state_->engine, packed);
  dnnl::stream stream(state_->engine);
  dnnl::reorder(from, to).execute(stream, from, to);
}

void Gemm::multiply(const Block& block, const float* a, const float* packed, float* c) const {
  block.product->run(a, packed, c);
}

}  // namespace heddle::kernels
