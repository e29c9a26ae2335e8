// A caller's mistakes in the library that the tests of the parts do not make.
#include <gtest/gtest.h>

#include <vector>

#include "datasets/epoch_sampler.h"
#include "datasets/row_writer.h"
#include "framework/comm/threads.h"
#include "framework/core/tensor.h"
#include "framework/io/checkpoint_writer.h"
#include "framework/ops/attention.h"
#include "framework/ops/gather_rows.h"
#include "framework/ops/layer_norm.h"
#include "framework/optim/adamw.h"
#include "tests/support/expect_throw.h"

namespace heddle {
namespace {

Tensor ones(const Shape& shape) {
  Tensor t = Tensor::empty(shape, DType::kF32, Device::cpu());
  for (float& x : t.span<float>()) x = 1;
  return t;
}

TEST(Misuse, SamplerOfNothing) {
  EXPECT_INVALID(EpochSampler(0, {}, nullptr), "[sampler] 0 samples. Expected at least one.");
  EXPECT_INVALID(EpochSampler(8, {.leaves = 0}, nullptr),
                 "[sampler] 0 leaves. Expected at least one.");
}

TEST(Misuse, SamplerBeyondItsSamples) {
  EpochSampler sampler(8, {}, nullptr);
  EXPECT_INVALID(sampler.seek({.epoch = 0, .position = 8}),
                 "[sampler] position 8 of epoch 0 among 8 samples.");
}

TEST(Misuse, RowWriterWithoutColumns) {
  PosixFileSystem files;
  EXPECT_INVALID(RowWriter(files, testing::TempDir() + "misuse.tsv", {}),
                 "[row writer] no columns");
}

TEST(Misuse, TensorReadAsAnotherType) {
  EXPECT_INVALID(ones({2}).data<int32_t>(), "[tensor] data<i32> of a f32 tensor.");
}

TEST(Misuse, CheckpointOfANegativeStep) {
  PosixFileSystem files;
  EXPECT_INVALID(prepare_checkpoint(files, {.root = testing::TempDir() + "misuse", .step = -1}, 0),
                 "[checkpoint] step -1. Expected at least 0.");
}

TEST(Misuse, AttentionWithoutScale) {
  const std::vector<int32_t> offsets = {0, 2};
  EXPECT_INVALID(attention(ones({2, 12}), Segments::from(offsets), {.heads = 2, .scale = 0}),
                 "[attention] scale 0. Expected more than 0.");
}

TEST(Misuse, FirstRowOfAnEmptySequence) {
  const std::vector<int32_t> offsets = {0, 2, 2};
  EXPECT_INVALID(first_rows(ones({2, 4}), Segments::from(offsets)),
                 "[gather_rows] sequence 1 is empty.");
}

TEST(Misuse, LayerNormOfAVector) {
  EXPECT_INVALID(layer_norm(ones({4}), ones({4}), ones({4}), 1e-5f),
                 "[layer_norm] x has shape [4]. Expected [rows, H].");
}

TEST(Misuse, AdamwWithTooFewMoments) {
  std::vector<float> weight(4), gradient(4), m(4), v(3);
  EXPECT_INVALID(kernels::adamw_update(Cpu{}, weight, gradient, m, v, {}),
                 "[adamw] 4 weights, 4 gradients, 4 and 3 moments. Expected equal numbers.");
}

TEST(Misuse, RankThatWaitsForOneThatFailed) {
  std::string told;
  const auto body = [&](Communicator& world) {
    if (world.rank() == 1) throw Error(ExitCode::kIo, "the disk is full");
    try {
      world.barrier();
    } catch (const Error& error) {
      told = error.what();
    }
  };
  EXPECT_HEDDLE_ERROR(run_threads(2, body), ExitCode::kIo, "the disk is full");
  EXPECT_NE(told.find("rank 0 was woken from "), std::string::npos) << told;
  EXPECT_NE(told.find(": rank 1 failed"), std::string::npos) << told;
}

}  // namespace
}  // namespace heddle
