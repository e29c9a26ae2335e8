#include "trainer/parameter_hashes.h"

#include <algorithm>
#include <cstring>

#include "framework/comm/collectives.h"
#include "framework/io/hash.h"
#include "framework/nn/shard.h"

namespace heddle {
namespace {

constexpr int64_t kSlab = 1 << 20;  // floats that are put together at a time

// A tensor, the shards that each rank of the group holds of it, and this rank's memory of its own.
struct WholeTensor {
  std::string name;
  Shape shape;
  std::vector<std::vector<Parameter>> shards;  // by rank, without memory
  std::vector<std::span<const float>> values;  // of this rank's

  bool is_whole_on(size_t rank) const {
    int64_t held = 0;
    for (const Parameter& shard : shards[rank]) held += shard.shape().numel();
    return held == shape.numel();
  }
};

std::string layout_of(const ParameterArena& arena) {
  Json layout = Json::array();
  for (const ParameterArena::Entry& entry : arena.entries()) {
    const Shape& whole = entry.parameter->whole_shape();
    const Shard& shard = entry.parameter->shard();
    layout.push_back({entry.name, std::vector<int64_t>(whole.begin(), whole.end()),
                      std::vector<int64_t>{shard.dim, shard.begin, shard.extent, shard.blocks}});
  }
  return dump_json(layout);
}

// Every tensor, in the order of the visit; the same on every rank.
std::vector<WholeTensor> whole_tensors(const ParameterArena& arena, Communicator& group) {
  std::vector<WholeTensor> tensors;
  const std::vector<std::string> layouts = all_gather_text(group, layout_of(arena), "hashes");
  const auto tensor_named = [&](const std::string& name, const Shape& shape) -> WholeTensor& {
    const auto found = std::ranges::find(tensors, name, &WholeTensor::name);
    if (found != tensors.end()) return *found;
    tensors.push_back({name, shape, {}, {}});
    tensors.back().shards.resize(layouts.size());
    return tensors.back();
  };
  for (size_t rank = 0; rank < layouts.size(); ++rank) {
    for (const Json& entry : parse_json(layouts[rank], "hashes")) {
      const auto dims = entry[1].get<std::vector<int64_t>>();
      const auto shard = entry[2].get<std::vector<int64_t>>();
      const Shape shape(dims);
      tensor_named(entry[0].get<std::string>(), shape)
          .shards[rank]
          .emplace_back(
              shape, Initializer(),
              Shard{static_cast<int>(shard[0]), shard[1], shard[2], static_cast<int>(shard[3])});
    }
  }
  arena.apply_pending();
  for (const ParameterArena::Entry& entry : arena.entries()) {
    tensor_named(entry.name, entry.parameter->whole_shape())
        .values.push_back(entry.parameter->value.span<const float>());
  }
  return tensors;
}

// Calls visit(run) for what `shard` has of elements [begin, end) of the whole.
void for_each_run_within(const Parameter& shard, int64_t begin, int64_t end,
                         const std::function<void(ShardRun)>& visit) {
  for_each_run(shard, [&](ShardRun run) {
    const int64_t first = std::max(begin, run.whole);
    const int64_t last = std::min(end, run.whole + run.count);
    if (first < last) visit({run.local + first - run.whole, first, last - first});
  });
}

// What this rank has of elements [begin, end), shard by shard.
std::vector<float> packed(const WholeTensor& tensor, size_t rank, int64_t begin, int64_t end) {
  std::vector<float> result;
  for (size_t i = 0; i < tensor.shards[rank].size(); ++i) {
    for_each_run_within(tensor.shards[rank][i], begin, end, [&](ShardRun run) {
      const float* from = tensor.values[i].data() + run.local;
      result.insert(result.end(), from, from + run.count);
    });
  }
  return result;
}

// The same back into its place in `slab`, which begins at `begin`.
void unpack(const WholeTensor& tensor, size_t rank, int64_t begin, int64_t end,
            const std::byte* from, float* slab) {
  for (const Parameter& shard : tensor.shards[rank]) {
    for_each_run_within(shard, begin, end, [&](ShardRun run) {
      const size_t bytes = static_cast<size_t>(run.count) * sizeof(float);
      std::memcpy(slab + (run.whole - begin), from, bytes);
      from += bytes;
    });
  }
}

// Calls take(values) for all elements in their order, on rank 0.
void for_each_slab(const WholeTensor& tensor, Communicator& group,
                   const std::function<void(std::span<const float>)>& take) {
  const bool at_root = tensor.is_whole_on(0);
  if (at_root && group.rank() != 0) return;
  if (at_root && tensor.values.size() == 1) return take(tensor.values.front());
  std::vector<float> slab;
  for (int64_t begin = 0; begin < tensor.shape.numel(); begin += kSlab) {
    const int64_t end = std::min(begin + kSlab, tensor.shape.numel());
    const std::vector<float> mine = packed(tensor, static_cast<size_t>(group.rank()), begin, end);
    slab.resize(static_cast<size_t>(end - begin));
    if (at_root) {
      unpack(tensor, 0, begin, end, std::as_bytes(std::span(mine)).data(), slab.data());
    } else {
      const std::vector<Bytes> all = group.gather_v(std::as_bytes(std::span(mine)), 0, tensor.name);
      for (size_t rank = 0; rank < all.size(); ++rank) {
        unpack(tensor, rank, begin, end, all[rank].data(), slab.data());
      }
    }
    if (group.rank() == 0) take(slab);
  }
}

}  // namespace

ParameterHashes hash_parameters(const ParameterArena& arena, Communicator& tensor) {
  Hasher all;
  ParameterHashes hashes;
  for (const WholeTensor& whole : whole_tensors(arena, tensor)) {
    Hasher one;
    for_each_slab(whole, tensor, [&](std::span<const float> values) {
      all.update(std::as_bytes(values));
      one.update(std::as_bytes(values));
    });
    if (tensor.rank() == 0) hashes.each[whole.name] = one.hex();
  }
  if (tensor.rank() == 0) hashes.all = all.hex();
  return hashes;
}

}  // namespace heddle
