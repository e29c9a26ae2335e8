#include <omp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "framework/core/error.h"
#include "framework/device/cpu_features.h"
#include "framework/ops/detail/gemm.h"
#include "framework/ops/detail/gemm_onednn.h"

namespace heddle::kernels {
namespace {

using dnnl::memory;

// Where the kernels are at their best, in order of preference: whole tiles of 16 rows.
constexpr std::array<int64_t, 4> kBlockHeights = {64, 32, 16, 1};
// The heights of a rest: few, so that few kernels are made; close, so that few rows are padding.
constexpr int64_t kHeightStep = 4;

// Two orders of adding up the same thirty products agree on every second or third sum, not on 64.
constexpr int64_t kTrialNumbers = 64;

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

memory::data_type operand_type(Precision precision) {
  return precision == Precision::kInt8 ? memory::data_type::s8 : memory::data_type::bf16;
}

memory::data_type result_type(Precision precision) {
  return precision == Precision::kInt8 ? memory::data_type::s32 : memory::data_type::f32;
}

memory::desc row_major(int64_t rows, int64_t columns, memory::data_type type) {
  return {{rows, columns}, type, memory::dims{columns, 1}};
}

using Bytes = std::vector<std::byte>;

// Numbers in [-1, 1) with all bits of the mantissa at work, or integers of 8 bits, the same ones
// each time: their places, hashed. None waits for the one before, as in a generator.
Bytes numbers(int64_t n, Precision precision) {
  Bytes values(static_cast<size_t>(n * operand_bytes(precision)));
  const auto fill = [&](auto number) {
    for (int64_t i = 0; i < n; ++i) {
      uint32_t h = (static_cast<uint32_t>(i) + 1) * 0x9E3779B9u;
      h = (h ^ h >> 16) * 0x85EBCA6Bu;
      h ^= h >> 13;
      const auto v = number(static_cast<int32_t>(h));
      std::memcpy(values.data() + static_cast<size_t>(i) * sizeof(v), &v, sizeof(v));
    }
  };
  if (precision == Precision::kInt8) {
    fill([](int32_t h) { return static_cast<int8_t>(h >> 24); });
  } else {
    fill([](int32_t h) { return f32_to_bf16(static_cast<float>(h) * 0x1p-31f); });
  }
  return values;
}

constexpr int64_t kResultBytes = 4;  // f32 or i32

bool same_bits(const std::byte* a, const Bytes& b) {
  return std::memcmp(a, b.data(), b.size()) == 0;
}

// Whether integer sums are exact: some processors have 8-bit products that saturate.
bool exact(const Bytes& result, const Bytes& a, const Bytes& b, const Gemm::Shape& shape) {
  const auto number = [](const Bytes& bytes, int64_t i) {
    return static_cast<int32_t>(static_cast<int8_t>(bytes[static_cast<size_t>(i)]));
  };
  for (int64_t n = 0; n < shape.columns; ++n) {
    int32_t sum = 0;
    for (int64_t k = 0; k < shape.depth; ++k) {
      sum +=
          number(a, k) * number(b, shape.depth_major ? k * shape.columns + n : n * shape.depth + k);
    }
    if (std::memcmp(result.data() + n * kResultBytes, &sum, sizeof(sum)) != 0) return false;
  }
  return true;
}

}  // namespace

// What one call of a product needs besides the product; kept for the next call.
struct Call {
  dnnl::stream stream;
  memory a, b, c, scratch;
};

struct Gemm::Product {
  int64_t height = 0;
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

  void run(const void* from, const void* weights, void* to) const {
    const OneOpenMPThread one;
    std::unique_ptr<Call> call = take();
    call->a.set_data_handle(const_cast<void*>(from));
    call->b.set_data_handle(const_cast<void*>(weights));
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

// The library's own cap, once, before its first product.
void cap_instructions() {
  static const dnnl::status capped = [] {
    switch (max_isa()) {
      case Isa::kAvx2:
        return dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
      case Isa::kAvx512:
        return dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core_bf16);
      case Isa::kAmx:
        break;
    }
    return dnnl::status::success;
  }();
  if (capped != dnnl::status::success) {
    throw Error(ExitCode::kInternal, "oneDNN was in use before its instruction set was capped");
  }
}

struct Gemm::State {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  memory::desc plain, packed;  // b's layouts; packed is the library's choice for the block height
  Bytes expected;              // what the trial rows give
  std::mutex mutex;            // guards what follows
  std::map<int64_t, std::unique_ptr<Product>> products;  // by height; null: not to be used

  // Null if there is none that keeps the contract.
  const Product* find(const Shape& shape, int64_t height);
  void pack(const void* b, const memory::desc& to, void* packed) const;
  std::unique_ptr<Product> make(const Shape& shape, int64_t height, const memory::desc& b) const;
  Bytes trial(const Shape& shape, const Product& product) const;
};

const Gemm::Product* Gemm::State::find(const Shape& shape, int64_t height) {
  const std::lock_guard lock(mutex);
  const auto [at, is_new] = products.try_emplace(height);
  if (is_new) {
    const OneOpenMPThread one;
    auto product = make(shape, height, packed);
    const Bytes result = product ? trial(shape, *product) : Bytes();
    if (!result.empty() && same_bits(result.data(), expected)) at->second = std::move(product);
  }
  return at->second.get();
}

void Gemm::State::pack(const void* b, const memory::desc& to, void* packed) const {
  const OneOpenMPThread one;
  memory plain_b(plain, engine, const_cast<void*>(b));
  memory packed_b(to, engine, packed);
  dnnl::stream stream(engine);
  dnnl::reorder(plain_b, packed_b).execute(stream, plain_b, packed_b);
}

// The product, or null if the library has none for these operands.
std::unique_ptr<Gemm::Product> Gemm::State::make(const Shape& shape, int64_t height,
                                                 const memory::desc& b) const {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // threads share the primitive
  attributes.set_fpmath_mode(dnnl::fpmath_mode::strict);        // whatever the environment says
  auto product = std::make_unique<Product>();
  product->height = height;
  product->engine = engine;
  product->a = row_major(height, shape.depth, operand_type(shape.operands));
  product->c = row_major(height, shape.columns, result_type(shape.operands));
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

// The results of some rows, each in every place; empty if the bits of one are not the same
// everywhere. An order of addition does not depend on the numbers, so a trial tells for all; but
// two orders may well agree on one number, so it takes kTrialNumbers.
Bytes Gemm::State::trial(const Shape& shape, const Product& product) const {
  const int64_t height = product.height;
  const int64_t operand = operand_bytes(shape.operands);
  const Bytes plain_b = numbers(static_cast<int64_t>(plain.get_size()) / operand, shape.operands);
  Bytes b(product.b.get_size());
  pack(plain_b.data(), product.b, b.data());
  const int64_t rows = (kTrialNumbers + shape.columns - 1) / shape.columns;
  const Bytes tried = numbers(rows * shape.depth, shape.operands);
  const int64_t row_bytes = shape.depth * operand;
  Bytes a(static_cast<size_t>(height * row_bytes));
  Bytes c(static_cast<size_t>(height * shape.columns * kResultBytes));
  Bytes results;
  for (int64_t row = 0; row < rows; ++row) {
    const Bytes one(tried.begin() + row * row_bytes, tried.begin() + (row + 1) * row_bytes);
    for (int64_t r = 0; r < height; ++r) std::ranges::copy(one, a.begin() + r * row_bytes);
    product.run(a.data(), b.data(), c.data());
    const Bytes result(c.begin(), c.begin() + shape.columns * kResultBytes);
    for (int64_t r = 0; r < height; ++r) {
      if (!same_bits(c.data() + r * shape.columns * kResultBytes, result)) return {};
    }
    if (shape.operands == Precision::kInt8 && !exact(result, one, plain_b, shape)) return {};
    results.insert(results.end(), result.begin(), result.end());
  }
  return results;
}

Gemm::Gemm(const Shape& shape) : shape_(shape), state_(std::make_unique<State>()) {
  check(shape.depth > 0 && shape.columns > 0 && shape.operands != Precision::kF32,
        "[gemm] depth {}, columns {}, operands of {}. Expected positive sizes and bf16 or int8.",
        shape.depth, shape.columns, name_of(shape.operands));
  cap_instructions();
  const OneOpenMPThread one;
  State& s = *state_;
  const memory::data_type type = operand_type(shape.operands);
  s.plain = {{shape.depth, shape.columns},
             type,
             shape.depth_major ? memory::dims{shape.columns, 1} : memory::dims{1, shape.depth}};
  const memory::desc any({shape.depth, shape.columns}, type, memory::format_tag::any);
  for (const int64_t height : kBlockHeights) {
    std::unique_ptr<Product> product = s.make(shape, height, any);
    if (!product) continue;
    s.expected = s.trial(shape, *product);
    if (s.expected.empty()) continue;
    s.packed = product->b;
    s.products[height] = std::move(product);
    block_height_ = height;
    return;
  }
  throw Error(ExitCode::kInternal,
              fmt::format("oneDNN has no {} product of depth {} and {} columns on this machine",
                          name_of(shape.operands), shape.depth, shape.columns));
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

bool Gemm::has(Precision operands) {
  const auto tried = [](Precision precision) {
    try {
      get({.depth = 64, .columns = 16, .operands = precision});
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  static const bool bf16 = tried(Precision::kBF16);
  static const bool int8 = tried(Precision::kInt8);
  return operands == Precision::kBF16 ? bf16 : int8;
}

Gemm::Block Gemm::block(int64_t rows) const {
  State& s = *state_;
  const int64_t least = (std::max<int64_t>(rows, 1) + kHeightStep - 1) / kHeightStep * kHeightStep;
  for (int64_t height = std::min(least, block_height_);;
       height = std::min(height + kHeightStep, block_height_)) {
    const Product* product = s.find(shape_, height);
    if (product || height == block_height_) return {height, product};
  }
}

int64_t Gemm::packed_bytes() const {
  return static_cast<int64_t>(state_->packed.get_size());
}

void Gemm::pack(const void* b, void* packed) const {
  state_->pack(b, state_->packed, packed);
}

void Gemm::multiply(const Block& block, const void* a, const void* b, void* c) const {
  block.product->run(a, b, c);
}

}  // namespace heddle::kernels
