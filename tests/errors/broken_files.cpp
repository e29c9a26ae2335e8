#include "tests/errors/broken_files.h"

#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace heddle {
namespace {

namespace fs = std::filesystem;

std::string copy(const std::string& of, const std::string& name) {
  fs::copy(of, tiny_model() / name, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  return tiny_model() / name;
}

void make_configs() {
  const std::string start = "output: x\ndata: {train: x.tsv}\n";
  tiny_file("bad.yaml", "output: [a\nmodel: {");
  tiny_file("key.yaml", start + "batch: {siez: 8}\n");
  tiny_file("value.yaml", start + "batch: {size: -8}\n");
}

void make_data() {
  const std::string start = "text\tlabel\n";
  tiny_file("label.tsv", start + "a cat\ta\na dog\tc\n");
  tiny_file("columns.tsv", start + "a cat\ta\na dog\n");
  tiny_file("utf8.tsv", start + "a cat\ta\na \xff dog\ta\n");
  tiny_file("nul.tsv", start + std::string("a\0b\ta\n", 6));
  tiny_file("text.tsv", start + "\ta\n");
  tiny_file("quote.csv", "text,label\n\"abc,a\n");
  tiny_file("bad.jsonl", "{\"text\": \"a\", \"label\": \"a\"}\n{\"text\": \n");
  tiny_file("zero.tsv", "");
  tiny_file("header.tsv", start);
  tiny_file("nolabel.tsv", "text\na cat\n");
  tiny_file("txet.tsv", "txet\na cat\n");
  tiny_file("which.tsv", "one\ttwo\na cat\ta dog\n");
  tiny_file("header.tsv", "text\tlabel\n");
}

// A copy of the exported folder in whose config.json `with` stands in place of `what`.
void make_config_json(const std::string& name, const std::regex& what, const std::string& with) {
  const std::string path = copy(tiny_model().exported, name) + "/config.json";
  write_text(path, std::regex_replace(read_text(path), what, with));
}

void make_config_jsons() {
  make_config_json("family", std::regex(R"("bert")"), R"("brt")");
  make_config_json("gap", std::regex(R"("0":)"), R"("2":)");
  make_config_json("nolabels", std::regex(R"("id2label": \{[^}]*\})"), R"("id2label": {})");
  make_config_json("heads", std::regex(R"("num_attention_heads": 2)"),
                   R"("num_attention_heads": 3)");
  make_config_json("epsilon", std::regex(R"("layer_norm_eps": [^,]*)"), R"("layer_norm_eps": -1)");
  make_config_json("deviation", std::regex(R"("initializer_range": [^,]*)"),
                   R"("initializer_range": -1)");
}

void make_tokenizers() {
  const std::string start =
      R"({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
"normalizer": null, "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null,
"decoder": null, "model": )";
  const auto tokenizer = [&](const std::string& name, const std::string& model) {
    write_text(copy(tiny_model().exported, name) + "/tokenizer.json", start + model + "}");
  };
  tokenizer("bpe", R"({"type": "BPE", "vocab": {}, "merges": []})");
  tokenizer("pieces", R"({"type": "WordPiece", "unk_token": "[UNK]",
"continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {"a": 0, "b": 0}})");
  const std::string vocabulary = copy(tiny_model().exported, "vocabulary") + "/vocab.txt";
  write_text(vocabulary, read_text(vocabulary) + "onemoretoken\n");
}

void make_folders() {
  const TinyModel& tiny = tiny_model();
  write_text(copy(tiny.exported, "config") + "/config.json", "{\"model_type\": \"bert\",\n");
  fs::resize_file(copy(tiny.exported, "weights") + "/model.safetensors", 5000);
  const std::string nan = copy(tiny.exported, "nan") + "/model.safetensors";
  std::fstream weights(nan, std::ios::in | std::ios::out | std::ios::binary);
  // Floats of ones alone are no numbers.
  for (int i = 1; i <= 64; ++i) weights.seekp(-i, std::ios::end).put('\xff');
  fs::remove(copy(tiny.exported, "noweights") + "/model.safetensors");
  fs::remove(copy(tiny.exported, "notokenizer") + "/vocab.txt");
}

void make_runs() {
  const TinyModel& tiny = tiny_model();
  fs::remove_all(copy(tiny.run, "unsaved") + "/checkpoints");
  write_text(copy(tiny.run, "unlogged") + "/log.jsonl", "");
  const std::string shard = "/checkpoints/step-000000002/shard-000.h5";
  std::fstream damaged(copy(tiny.run, "damaged") + shard,
                       std::ios::in | std::ios::out | std::ios::binary);
  damaged.seekp(9000);
  damaged.put('X').put('Y');
  fs::resize_file(copy(tiny.run, "cut") + shard, 100);
  const std::string renamed = copy(tiny.run, "renamed") + "/checkpoints/step-00000000";
  fs::rename(renamed + "1", renamed + "3");
  fs::rename(renamed + "2", renamed + "1");
  fs::rename(renamed + "3", renamed + "2");
}

}  // namespace

void make_broken_files() {
  make_configs();
  make_data();
  make_config_jsons();
  make_tokenizers();
  make_folders();
  make_runs();
}

}  // namespace heddle
