#include "trainer/planner/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "trainer/config/reader.h"

namespace heddle {
namespace {

constexpr std::size_t kMaximumBytes = 1 << 20;

constexpr struct {
  std::string_view name;
  double bytes;
} kUnits[] = {{"", 1},
              {"B", 1},
              {"kB", 1e3},
              {"MB", 1e6},
              {"GB", 1e9},
              {"TB", 1e12},
              {"KiB", 1024.0},
              {"MiB", 1048576.0},
              {"GiB", 1073741824.0},
              {"TiB", 1099511627776.0}};

// Bytes that a device moves for each byte that a row-wise op writes: it reads two, writes one.
constexpr double kMovedPerWritten = 3;
// AdamW reads weight, gradient and two moments, and writes all but the gradient.
constexpr double kUpdateBytes = 28;

// Writes a line for each key of a section.
class KeyWriter {
 public:
  KeyWriter(std::string& text, size_t indent) : text_(text), indent_(indent) {}

  template <class T>
  void operator()(const char* key, T&, const Field& field) {
    std::string line = fmt::format("{:{}}{}:", "", indent_, key);
    const std::string unit = field.unit_name.empty() ? "" : ", " + field.unit_name;
    text_ += fmt::format("{:<24} # {}{}{}\n", line, field.meaning, unit,
                         field.is_required ? "; required" : "");
    if constexpr (Section<T>) {
      descend<T>();
    } else if constexpr (kIsOptional<T>) {
      if constexpr (Section<typename T::value_type>) descend<typename T::value_type>();
    }
  }

 private:
  template <class T>
  void descend() {
    T section;
    KeyWriter inside(text_, indent_ + 2);
    section.visit(inside);
  }

  std::string& text_;
  size_t indent_;
};

}  // namespace

std::optional<ByteSize> ByteSize::parse(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() &&
         (std::isdigit(static_cast<unsigned char>(text[digits])) != 0 || text[digits] == '.')) {
    ++digits;
  }
  const auto number = parse_number(text.substr(0, digits));
  std::string_view unit = text.substr(digits);
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  for (const auto& known : kUnits) {
    const double bytes = number ? *number * known.bytes : 0;
    if (unit == known.name && bytes >= 1 && bytes < 9e18) {
      return ByteSize{static_cast<int64_t>(std::llround(bytes))};
    }
  }
  return std::nullopt;
}

std::string ByteSize::text() const {
  return std::to_string(bytes);
}

int64_t Machine::memory_of_rank(int64_t ranks) const {
  return memory.value_or(node_memory / std::max<int64_t>(1, std::min(ranks, ranks_per_node)));
}

Machine read_cluster(FileSystem& files, const std::string& path, Precision precision) {
  const YamlNode root = parse_yaml(read_file(files, path, kMaximumBytes), path);
  Problems problems(path);
  ClusterConfig c;
  read_section(root, c, "", problems);
  problems.throw_if_any();
  if (c.nodes > 1 && !c.network) {
    problems.add_at("nodes",
                    fmt::format("'nodes' is {}, but there is no 'network' between them", c.nodes));
    problems.throw_if_any();
  }
  if (precision == Precision::kBF16) {
    if (!c.bf16) {
      throw Error(
          ExitCode::kInput,
          fmt::format("{}: the run is in bf16, but there is no 'bf16' with its rates", path),
          "add bf16: {matrix_tflops: …, attention_tflops: …}, or plan with "
          "--set precision=f32");
    }
    c.matrix_tflops = c.bf16->matrix_tflops;
    c.attention_tflops = c.bf16->attention_tflops;
  }
  Machine m;
  m.name = c.name;
  m.nodes = c.nodes;
  m.ranks_per_node = c.ranks_per_node;
  m.memory = c.memory.bytes;
  m.product_rate = c.matrix_tflops * 1e12;
  m.weight_rate = c.memory_gb_per_s * 1e9 / sizeof(float);
  m.attention_rate = c.attention_tflops * 1e12;
  m.element_rate = c.memory_gb_per_s * 1e9 / kMovedPerWritten;
  m.norm_rate = c.memory_gb_per_s * 1e9 / sizeof(float);
  m.update_rate = c.memory_gb_per_s * 1e9 / kUpdateBytes;
  m.stream_rate = c.memory_gb_per_s * 1e9;
  m.in_node = c.in_node;
  m.network = c.network.value_or(c.in_node);
  return m;
}

std::string describe_cluster() {
  std::string text;
  KeyWriter writer(text, 0);
  ClusterConfig config;
  config.visit(writer);
  return text;
}

}  // namespace heddle
