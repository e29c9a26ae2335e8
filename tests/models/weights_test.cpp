// Weights in and out of Hugging Face folders.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "framework/nn/shard.h"
#include "models/hf/config.h"
#include "models/hf/export.h"
#include "models/hf/import.h"
#include "tests/models/small_model.h"
#include "tests/support/expect_throw.h"
#include "tests/support/tensors.h"

namespace heddle {
namespace {

// The tensors of a file, to be changed and written back.
struct Stored {
  DType dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};

class Weights : public testing::Test {
 protected:
  Weights() : folder_(fmt::format("{}heddle-weights-{}", testing::TempDir(), ::getpid())) {
    std::filesystem::remove_all(folder_);
  }
  ~Weights() override { std::filesystem::remove_all(folder_); }

  void save(SmallModel& small) {
    export_folder(files_, folder_, small.config, parts_of(named_parameters(small.model)),
                  {{"README.md", "a card"}});
  }
  std::map<std::string, Stored> stored() {
    const SafetensorsFile file = SafetensorsFile::open(files_, folder_);
    std::map<std::string, Stored> all;
    for (const std::string& name : file.names()) {
      const SafetensorsEntry& entry = file.at(name);
      all[name] = {
          entry.dtype, entry.shape,
          std::string(reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size())};
    }
    return all;
  }
  void store(const std::map<std::string, Stored>& all, uint64_t shard_bytes = uint64_t{1} << 40) {
    std::vector<SafetensorsTensor> tensors;
    for (const auto& [name, s] : all) {
      tensors.push_back({name, s.dtype, s.shape, std::as_bytes(std::span(s.bytes))});
    }
    std::filesystem::remove(folder_ + "/model.safetensors");
    write_safetensors_folder(files_, folder_, tensors, shard_bytes);
  }
  ImportReport load(SmallModel& small, const ImportOptions& options = {}) {
    return import_weights(std::make_shared<SafetensorsFile>(SafetensorsFile::open(files_, folder_)),
                          small.config, named_parameters(small.model), options);
  }
  Error refusal(const ClassifierConfig& config, const ImportOptions& options = {}) {
    try {
      SmallModel other(config);
      load(other, options);
    } catch (const Error& error) {
      return error;
    }
    return Error(ExitCode::kDone, "no error");
  }

  PosixFileSystem files_;
  std::string folder_;
};

void expect_part(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text << "\n  lacks " << part;
}

TEST_F(Weights, ComeBackAsTheyWere) {
  const NoGrad no_grad;
  for (const char* family : {"bert", "distilbert", "electra"}) {
    SmallModel small(small_config(family), 3), other(small_config(family), 4);
    save(small);
    const ImportReport report = load(other);
    EXPECT_TRUE(report.fresh.empty());
    EXPECT_TRUE(report.dropped.empty());
    EXPECT_TRUE(same_bits(other.arena.values(), small.arena.values())) << family;
    const std::string path = folder_ + "/config.json";
    EXPECT_EQ(parse_config(read_json(files_, path), path).labels, small.config.labels);

    // Without memory of their own, as serving has them: views of the file.
    Classifier served(small.config);
    import_weights(std::make_shared<SafetensorsFile>(SafetensorsFile::open(files_, folder_)),
                   small.config, named_parameters(served), {});
    const Batch batch = small_batch({3, 9, 20});
    EXPECT_TRUE(same_bits(served(batch), small.model(batch))) << family;
  }
}

// Shards of every parameter of `small`, in `parts`: along dim 1 if `dim` says so and there is one;
// fused projections in three blocks.
std::vector<std::pair<std::string, Parameter>> shards_of(SmallModel& small, int dim, int parts) {
  std::vector<std::pair<std::string, Parameter>> shards;
  for (const auto& [name, parameter] : named_parameters(small.model)) {
    const Shape& whole = parameter->whole_shape();
    const int along = std::min(dim, whole.ndim() - 1);
    const int blocks = along == 0 && name.find("query_key_value") != std::string::npos ? 3 : 1;
    const int64_t size = whole[along] / blocks;
    for (int i = 0; i < parts; ++i) {
      const int64_t begin = size * i / parts;
      const Shard shard{along, begin, size * (i + 1) / parts - begin, blocks};
      shards.emplace_back(name, Parameter(whole, parameter->initializer(), shard));
    }
  }
  return shards;
}

NamedParameters pointers_to(std::vector<std::pair<std::string, Parameter>>& shards) {
  NamedParameters parameters;
  for (auto& [name, parameter] : shards) parameters.emplace_back(name, &parameter);
  return parameters;
}

// Every shard holds its part of that parameter of `whole`.
void expect_parts_of(const NamedParameters& shards, SmallModel& whole) {
  const NamedParameters named = named_parameters(whole.model);
  const std::map<std::string, Parameter*> wholes(named.begin(), named.end());
  for (const auto& [name, shard] : shards) {
    const float* expected = wholes.at(name)->value.data<float>();
    const float* found = shard->value.data<float>();
    for_each_run(*shard, [&, name = name](ShardRun run) {
      ASSERT_TRUE(
          std::equal(found + run.local, found + run.local + run.count, expected + run.whole))
          << name;
    });
  }
}

TEST_F(Weights, ShardsTakeTheirSlices) {
  for (const int dim : {0, 1}) {
    SmallModel small(small_config(), 3);
    save(small);
    auto shards = shards_of(small, dim, 3);
    import_weights(std::make_shared<SafetensorsFile>(SafetensorsFile::open(files_, folder_)),
                   small.config, pointers_to(shards), {});
    expect_parts_of(pointers_to(shards), small);
  }
}

// A matrix of more elements than are read before pages are given back.
TEST_F(Weights, SlicesOfALargeMatrix) {
  ClassifierConfig config = small_config();
  config.vocabulary = 40000;
  SmallModel small(config, 3);
  save(small);
  auto shards = shards_of(small, 1, 3);
  import_weights(std::make_shared<SafetensorsFile>(SafetensorsFile::open(files_, folder_)), config,
                 pointers_to(shards), {});
  expect_parts_of(pointers_to(shards), small);
}

TEST_F(Weights, OfAnotherModelAreNotExported) {
  SmallModel small(small_config(), 3);
  ClassifierConfig wider = small_config();
  wider.vocabulary += 1;
  EXPECT_INVALID(export_folder(files_, folder_, wider, parts_of(named_parameters(small.model)), {}),
                 "[export_folder] 'encoder.");
}

TEST_F(Weights, AFreshHeadInShardsIsToldOnceAndPartOfTheWhole) {
  SmallModel small(small_config(), 3), fresh(small_config(), 9);
  save(small);
  std::map<std::string, Stored> rest = stored();
  rest.erase("classifier.weight");
  store(rest);
  auto shards = shards_of(small, 1, 2);
  const ImportReport report =
      import_weights(std::make_shared<SafetensorsFile>(SafetensorsFile::open(files_, folder_)),
                     small.config, pointers_to(shards), {.fresh_head_allowed = true, .seed = 9});
  EXPECT_EQ(report.fresh, std::vector<std::string>{"head.out.weight"});
  NamedParameters head;
  for (const auto& [name, parameter] : pointers_to(shards)) {
    if (name == "head.out.weight") head.emplace_back(name, parameter);
  }
  ASSERT_EQ(head.size(), 2u);
  expect_parts_of(head, fresh);
}

TEST_F(Weights, ComeInShards) {
  SmallModel small(small_config(), 3), other(small_config(), 4);
  save(small);
  store(stored(), 20000);
  EXPECT_FALSE(files_.exists(folder_ + "/model.safetensors"));
  EXPECT_TRUE(files_.exists(folder_ + "/model.safetensors.index.json"));
  load(other);
  EXPECT_TRUE(same_bits(other.arena.values(), small.arena.values()));
}

TEST_F(Weights, OlderNamesOfNormsAndAnEncoderWithoutPrefix) {
  SmallModel small(small_config(), 3), other(small_config(), 4);
  save(small);
  std::map<std::string, Stored> renamed;
  for (auto& [name, tensor] : stored()) {
    std::string older = name;
    const auto replace = [&](const std::string& from, const std::string& to) {
      const size_t at = older.find(from);
      if (at != std::string::npos) older.replace(at, from.size(), to);
    };
    replace("LayerNorm.weight", "LayerNorm.gamma");
    replace("LayerNorm.bias", "LayerNorm.beta");
    replace("bert.", "");
    renamed[older] = tensor;
  }
  ASSERT_TRUE(renamed.contains("embeddings.LayerNorm.gamma"));
  // A buffer and the heads of pre-training are passed over.
  renamed["embeddings.position_ids"] = {DType::kI64, {1}, std::string(8, '\0')};
  renamed["cls.predictions.bias"] = {DType::kF32, {1}, std::string(4, '\0')};
  store(renamed);
  const ImportReport report = load(other);
  EXPECT_EQ(report.dropped, std::vector<std::string>{"cls.predictions.bias"});
  EXPECT_TRUE(same_bits(other.arena.values(), small.arena.values()));
}

TEST_F(Weights, HalfPrecisionIsWidened) {
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    SmallModel small(small_config(), 3), other(small_config(), 4);
    small.arena.values().fill(-0.375f);  // exact in both
    save(small);
    auto halves = stored();
    const std::string half =
        dtype == DType::kBF16 ? std::string("\xc0\xbe", 2) : std::string("\x00\xb6", 2);
    for (auto& [name, tensor] : halves) {
      std::string bytes;
      for (size_t i = 0; i < tensor.bytes.size() / 4; ++i) bytes += half;
      tensor.dtype = dtype;
      tensor.bytes = bytes;
    }
    store(halves);
    load(other);
    for (const auto& entry : other.arena.entries()) {
      for (float v : entry.parameter->value.span<float>()) ASSERT_EQ(v, -0.375f) << entry.name;
    }
  }
}

TEST_F(Weights, EverythingWrongIsReportedTogether) {
  SmallModel small(small_config(), 3);
  save(small);
  auto tensors = stored();
  tensors.erase("bert.encoder.layer.1.output.dense.bias");
  tensors["bert.strange"] = {DType::kF32, {1}, std::string(4, '\0')};
  tensors["bert.pooler.dense.bias"] = {DType::kI32, {32}, std::string(128, '\0')};
  Stored& table = tensors["bert.embeddings.word_embeddings.weight"];
  table.shape = {49, 32};
  table.bytes.resize(49 * 32 * 4);
  store(tensors);
  const Error error = refusal(small.config);
  EXPECT_EQ(error.code(), ExitCode::kInput);
  expect_part(error.what(), "model.safetensors: the tensors are not those of a bert classifier:");
  expect_part(error.what(), "\n  missing: bert.encoder.layer.1.output.dense.bias");
  expect_part(error.what(), "\n  unexpected: bert.strange");
  expect_part(error.what(),
              "\n  bert.embeddings.word_embeddings.weight: f32 [49, 32]. Expected f32, bf16 or "
              "f16 [50, 32]");
  expect_part(error.what(), "\n  bert.pooler.dense.bias: i32 [32]. Expected f32, bf16 or f16 [32]");
  expect_part(error.hint(), "config.json and the weights must be of one model");
}

TEST_F(Weights, AnotherFamilyIsRecognised) {
  SmallModel small(small_config("electra"), 3);
  save(small);
  const Error error = refusal(small_config("bert"));
  expect_part(error.what(), "\n  and ");
  expect_part(error.what(), " more");
  expect_part(error.hint(), "the tensors look like electra; config.json says bert");
}

TEST_F(Weights, AHeadOfAnotherSizeStartsAfreshWhereAllowed) {
  SmallModel small(small_config(), 3);
  save(small);
  ClassifierConfig two = small_config();
  two.labels = {"x", "y"};
  expect_part(refusal(two).hint(), "the head is missing or of another size: fine-tune the model");

  SmallModel other(two, 4), fresh(two, 9);
  const ImportReport report = load(other, {.fresh_head_allowed = true, .seed = 9});
  EXPECT_EQ(report.fresh, (std::vector<std::string>{"head.out.weight", "head.out.bias"}));
  EXPECT_EQ(report.dropped, (std::vector<std::string>{"classifier.weight", "classifier.bias"}));
  EXPECT_TRUE(same_bits(other.model.head.out.weight.value, fresh.model.head.out.weight.value));
  EXPECT_TRUE(same_bits(other.model.head.dense.weight.value, small.model.head.dense.weight.value));
}

TEST_F(Weights, AMissingHeadStartsAfreshWhereAllowed) {
  SmallModel small(small_config(), 3), other(small_config(), 4);
  save(small);
  auto tensors = stored();
  for (const char* name : {"classifier.weight", "classifier.bias"}) tensors.erase(name);
  store(tensors);
  expect_part(refusal(small.config).what(), "missing: classifier.weight");
  EXPECT_EQ(load(other, {.fresh_head_allowed = true}).fresh.size(), 2u);
}

TEST_F(Weights, OnTheMetaDeviceNamesAndShapesAreChecked) {
  SmallModel small(small_config(), 3);
  save(small);
  SmallModel meta(small_config(), 4, Device::meta());
  EXPECT_TRUE(load(meta).fresh.empty());
}

}  // namespace
}  // namespace heddle
