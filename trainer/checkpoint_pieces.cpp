#include "trainer/checkpoint_pieces.h"

#include <algorithm>
#include <map>
#include <utility>

#include "framework/comm/collectives.h"
#include "framework/io/json.h"
#include "framework/nn/shard.h"

namespace heddle {
namespace {

// The same for the same elements of the same tensor, on any rank.
std::string key_of(const HeldPiece& piece) {
  const Shard& shard = piece.parameter->shard();
  return fmt::format("{}|{},{},{},{}|{},{}", piece.name, shard.dim, shard.begin, shard.extent,
                     shard.blocks, piece.first, piece.values.size());
}

struct Holders {
  std::string key;
  size_t elements = 0;
  std::vector<size_t> ranks;
};

// Every piece there is, largest first, in the same order on every rank.
std::vector<Holders> all_pieces(Communicator& world, const std::vector<HeldPiece>& held) {
  Json list = Json::array();
  for (const HeldPiece& piece : held) list.push_back({key_of(piece), piece.values.size()});
  const std::vector<std::string> lists =
      all_gather_text(world, dump_json(list), "checkpoint pieces");
  std::map<std::string, Holders> by_key;
  for (size_t rank = 0; rank < lists.size(); ++rank) {
    for (const Json& piece : parse_json(lists[rank], "checkpoint pieces")) {
      const auto key = piece[0].get<std::string>();
      Holders& holders = by_key[key];
      holders.key = key;
      holders.elements = piece[1].get<size_t>();
      holders.ranks.push_back(rank);
    }
  }
  std::vector<Holders> pieces;
  for (auto& [key, holders] : by_key) pieces.push_back(std::move(holders));
  std::ranges::stable_sort(pieces, std::greater(), &Holders::elements);
  return pieces;
}

}  // namespace

std::vector<HeldPiece> held_weights(const NamedParameters& parameters) {
  std::vector<HeldPiece> held;
  for (const auto& [name, parameter] : parameters) {
    parameter->apply_pending();
    held.push_back({"weights/" + name, parameter, 0, parameter->value.span<float>()});
  }
  return held;
}

std::vector<HeldPiece> held_states(const Optimizer& optimizer) {
  std::vector<HeldPiece> held;
  for (const Optimizer::State& state : optimizer.states()) {
    for (const Optimizer::Entry& entry : optimizer.entries()) {
      const ParameterArena::Entry& of = *entry.gradient.parameter;
      if (entry.first == entry.last) continue;
      held.push_back(
          {std::string(kOptimizerPrefix) + state.name + "/" + of.name, of.parameter, entry.first,
           state.values.span<float>().subspan(static_cast<size_t>(entry.offset),
                                              static_cast<size_t>(entry.last - entry.first))});
    }
  }
  return held;
}

std::vector<BoxOfPiece> boxes_of(const HeldPiece& piece) {
  std::vector<BoxOfPiece> boxes;
  const int64_t last = piece.first + static_cast<int64_t>(piece.values.size());
  for (ShardBox& box : shard_boxes(*piece.parameter, piece.first, last)) {
    boxes.push_back({{std::move(box.begin), std::move(box.extent)},
                     piece.values.subspan(static_cast<size_t>(box.offset - piece.first),
                                          static_cast<size_t>(box.numel))});
  }
  return boxes;
}

WritingShare share_writing(Communicator& world, std::vector<HeldPiece> held) {
  std::map<std::string, HeldPiece*> mine;
  for (HeldPiece& piece : held) mine[key_of(piece)] = &piece;
  std::vector<size_t> load(static_cast<size_t>(world.size()));
  WritingShare share;
  for (const Holders& piece : all_pieces(world, held)) {
    const size_t writer = *std::ranges::min_element(piece.ranks, std::less(),
                                                    [&](size_t rank) { return load[rank]; });
    load[writer] += piece.elements;
    share.bytes += piece.elements * sizeof(float);
    if (writer == static_cast<size_t>(world.rank())) {
      share.mine.push_back(std::move(*mine.at(piece.key)));
    }
  }
  return share;
}

}  // namespace heddle
