#include "trainer/step_verifier.h"

#include <memory>

#include "datasets/epoch_sampler.h"
#include "tests/support/expect_throw.h"
#include "tests/trainer/tiny_run.h"

namespace heddle {
namespace {

// What is left out on 1 x 2 ranks: the sum of that name that comes after so many, or all of them.
struct Mistake {
  std::string sum;
  int number = -1;
};

// Verifies the gradient of one batch; throws what the verifier finds.
void verify_a_step(const Scratch& scratch, const Mistake& mistake,
                   const std::vector<std::string>& assignments) {
  const Config config = tiny_config(scratch, "run", assignments);
  run_threads(2, [&](Communicator& world) {
    PosixFileSystem files;
    ThreadPool pool(1);
    const Mesh mesh(world, {.data = 1, .tensor = 2});
    Group group = mesh.group(2, stream_of(config.parallel));
    auto seen = std::make_shared<int>(0);
    group.plant_mistake([seen, mistake](std::string_view name) {
      return name == mistake.sum && (mistake.number < 0 || (*seen)++ == mistake.number);
    });
    const TrainingModel model = make_training_model(files, config, Device::cpu(&pool), group);
    const TrainingData data =
        open_training_data(files, config, model, scratch.path("cache"), pool, world);
    GradientArena gradients(*model.arena, mesh.data(), true);
    BatchGradients step(*model.model, *model.task, gradients, mesh.data());
    const std::vector<int64_t> samples = {4, 1, 7, 30, 2};
    const LeafPlanOptions leaves{.leaves = 4};
    const TrainingNoise noise{.seed = 42, .step = 2};
    const double loss = step.run(data.train, samples, leaves, noise).loss;
    StepVerifier verifier(model, gradients, mesh, {.parts = 2});
    verifier.check({data.train, samples, leaves, noise, loss});
  });
}

TEST(StepVerifier, AStepThatIsRightPasses) {
  const Scratch scratch;
  verify_a_step(scratch, {}, {});
  verify_a_step(scratch, {}, {"model.train={layers: 1}"});
  verify_a_step(scratch, {}, {"parallel.sequence=true"});
}

TEST(StepVerifier, NamesTheModuleWhoseGradientIsTheFirstToBeWrong) {
  const Scratch scratch;
  // Backward sums at the feed-forward network of layer 1, its attention, then at those of layer 0.
  const std::vector<std::string> first_wrong = {
      "module encoder.layers.1.attention_norm: the gradient of "
      "encoder.layers.1.attention_norm.bias differs",
      "module encoder.layers.0.feed_forward_norm: the gradient of "
      "encoder.layers.0.feed_forward_norm.bias differs",
      "module encoder.layers.0.attention_norm: the gradient of",
      "module encoder.embeddings.norm: the gradient of"};
  for (const char* sequence : {"parallel.sequence=false", "parallel.sequence=true"}) {
    for (int i = 0; i < 4; ++i) {
      EXPECT_HEDDLE_ERROR(verify_a_step(scratch, {"gradient of a shared input", i}, {sequence}),
                          ExitCode::kInternal,
                          "verify: step 3: " + first_wrong[static_cast<size_t>(i)]);
    }
  }
}

TEST(StepVerifier, NamesTheLayerWhoseOutputIsTheFirstToBeWrong) {
  const Scratch scratch;
  EXPECT_HEDDLE_ERROR(verify_a_step(scratch, {"word embeddings"}, {}), ExitCode::kInternal,
                      "module encoder.embeddings: the output differs");
  for (const char* sequence : {"parallel.sequence=false", "parallel.sequence=true"}) {
    EXPECT_HEDDLE_ERROR(verify_a_step(scratch, {"sum over parts"}, {sequence}), ExitCode::kInternal,
                        "module encoder.layers.0: the output differs");
  }
}

TEST(CheckReplicas, NamesTheRankAndTheParameterThatDiffer) {
  const Scratch scratch;
  const Config config = tiny_config(scratch, "run");
  const auto compare = [&](bool flip) {
    run_threads(4, [&](Communicator& world) {
      PosixFileSystem files;
      const Mesh mesh(world, {.data = 2, .tensor = 2});
      const TrainingModel model = make_training_model(files, config, Device::cpu(), mesh.group(2));
      if (flip && world.rank() == 3) {
        for (const auto& entry : model.arena->entries()) {
          if (entry.name == "encoder.layers.1.feed_forward.up.weight") {
            entry.parameter->value.data<float>()[5] += 1e-6f;
          }
        }
      }
      check_replicas(*model.arena, mesh);
    });
  };
  compare(false);
  EXPECT_HEDDLE_ERROR(compare(true), ExitCode::kInternal,
                      "replicas are no longer the same: the parameter "
                      "encoder.layers.1.feed_forward.up.weight of data-parallel rank 1 differs");
}

}  // namespace
}  // namespace heddle
