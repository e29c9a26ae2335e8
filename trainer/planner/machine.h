// A machine, as the planner sees it: what a rank can do in a second, and what it costs ranks to add
// up their numbers. Measured here (measure.h), or described in a YAML file:
//
//   const Machine machine = read_cluster(files, "configs/clusters/h100_node.yaml");
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "framework/core/precision.h"
#include "framework/io/file_system.h"
#include "trainer/config/field.h"

namespace heddle {

// Bytes, as people write them: "16 GiB", "80GB", 1000000.
struct ByteSize {
  static constexpr const char* kForm = "bytes such as '16 GiB', '80 GB' or 1000000";

  int64_t bytes = 0;

  static std::optional<ByteSize> parse(std::string_view text);
  std::string text() const;
  bool operator==(const ByteSize&) const = default;
};

// How ranks reach one another.
struct LinkConfig {
  double gb_per_s = 10;
  double latency_us = 5;
  std::string collective = "halving";

  template <class F>
  void visit(F& f) {
    f("gb_per_s", gb_per_s,
      Field("what one rank sends, and at the same time receives").above(0).unit("GB/s").required());
    f("latency_us", latency_us,
      Field("until a message of no length has come").at_least(0).unit("microseconds").required());
    f("collective", collective,
      Field("how sums are made: shared_memory: each rank reads a slice of every other's memory, "
            "in the tree's order; halving: recursive halving and doubling; ring")
          .one_of({"shared_memory", "halving", "ring"}));
  }
  bool operator==(const LinkConfig&) const = default;
};

// Rates in bf16.
struct Bf16Config {
  double matrix_tflops = 1;
  double attention_tflops = 1;

  template <class F>
  void visit(F& f) {
    f("matrix_tflops", matrix_tflops,
      Field("as matrix_tflops, with operands in bf16").above(0).unit("TFLOP/s").required());
    f("attention_tflops", attention_tflops,
      Field("as attention_tflops, with operands in bf16").above(0).unit("TFLOP/s").required());
  }
  bool operator==(const Bf16Config&) const = default;
};

struct ClusterConfig {
  std::string name;
  std::int64_t nodes = 1;
  std::int64_t ranks_per_node = 1;
  ByteSize memory;
  double matrix_tflops = 1;
  double attention_tflops = 1;
  std::optional<Bf16Config> bf16;
  double memory_gb_per_s = 100;
  LinkConfig in_node;
  std::optional<LinkConfig> network;

  template <class F>
  void visit(F& f) {
    f("name", name, Field("what the machine is called in tables").required());
    f("nodes", nodes, Field("machines of this kind").at_least(1).at_most(1 << 20));
    f("ranks_per_node", ranks_per_node,
      Field("ranks on each, one a device").at_least(1).at_most(1024).required());
    f("memory", memory, Field("of a rank").required());
    f("matrix_tflops", matrix_tflops,
      Field("what a rank reaches in matrix products of the model's sizes, not the peak on paper")
          .above(0)
          .unit("TFLOP/s")
          .required());
    f("attention_tflops", attention_tflops,
      Field("what a rank reaches in attention").above(0).unit("TFLOP/s").required());
    f("bf16", bf16, Field("the same for runs with precision: bf16; ~: none are planned"));
    f("memory_gb_per_s", memory_gb_per_s,
      Field("what a rank reads and writes of its memory").above(0).unit("GB/s").required());
    f("in_node", in_node, "between the ranks of a node");
    f("network", network, Field("between nodes; ~: there is one node"));
  }
  bool operator==(const ClusterConfig&) const = default;
};

struct Machine {
  std::string name;
  bool measured = false;
  int64_t nodes = 1;
  int64_t ranks_per_node = 1;
  std::optional<int64_t> memory;  // bytes of a rank, if ranks do not share
  int64_t node_memory = 0;        // bytes that the ranks of a node share, otherwise
  int64_t cores = 0;              // of a node, that its ranks share; 0: a device each

  // Of a rank, or of one core where there are cores.
  double product_rate = 0;    // FLOP/s of a product of many rows
  double weight_rate = 0;     // elements in a second: what a product's weight costs for any rows
  double attention_rate = 0;  // FLOP/s
  double element_rate = 0;    // bytes written by row-wise ops in a second
  double norm_rate = 0;       // elements in a second, of the gradient's norm
  double update_rate = 0;     // elements in a second, of the optimizer
  double stream_rate = 0;     // bytes moved in a second by plain additions
  // What all cores together reach, as a multiple of one core: in products, and in what memory
  // bounds.
  double product_scaling = 0;  // 0: as many as there are cores
  double memory_scaling = 1;
  LinkConfig in_node, network;

  // Bytes that each of `ranks` ranks on a node may have.
  int64_t memory_of_rank(int64_t ranks) const;
};

// Its rates in f32 or bf16. Throws Error(kInput) with file and line for what is wrong in it, and if
// it has no rates in bf16 but they are asked for.
Machine read_cluster(FileSystem& files, const std::string& path,
                     Precision precision = Precision::kF32);

// Every key of a cluster's file, its unit and meaning.
std::string describe_cluster();

}  // namespace heddle
