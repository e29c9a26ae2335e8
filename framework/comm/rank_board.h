// A page of memory on which every rank of a node writes what it does: the last collectives that it
// entered in each of its groups, and a word on what it is about. Any rank can then tell, without a
// message, that another is in a different collective, or who is waited for:
//
//   board.doing("reading data");
//   const std::string conflict = board.enter(channel, signature);  // "" or both sides
//   for (const std::string& line : board.blame()) ...              // "rank 5 never entered #1042
//   …"
//
// Made and kept by the back ends of Communicator. Entering costs some twenty plain stores and a
// look at a cache line of each other rank of the group.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/comm/signature.h"

namespace heddle {

class RankBoard {
 public:
  static constexpr int kChannels = 16;  // groups that a rank can have here at a time

  struct Page;
  // How much memory the page of `ranks` ranks takes. It must start as zeros.
  static size_t bytes(int ranks);

  // This rank's view of the page: it writes at place `mine` of `places`, as `rank` of the job. `id`
  // tells pages apart. Shares `page`.
  RankBoard(std::shared_ptr<void> page, uint64_t id, int places, int mine, int rank);

  // A group of ranks gets a channel: each tells its offer to all others, and opens with those of
  // all, by rank of the group.
  struct Offer {
    uint64_t page = 0;
    uint64_t used = 0;    // channels, as bits
    uint64_t groups = 0;  // how many it has been in
    int32_t place = 0;
    int32_t rank = 0;
  };
  Offer offer() const;
  // The channel, the same for all; -1 if there is none left: the group then goes unwatched.
  // `label` is put behind what is said of its collectives: "of ranks 0, 2".
  int open(std::span<const Offer> members, std::string_view label);
  void close(int channel);

  // Announces that this rank enters a collective. "", or the message that names both sides if a
  // rank of this node has entered another one under the same number. Of two ranks that differ, at
  // least the later sees it.
  std::string enter(int channel, const Signature& signature);
  // Announces what this rank is about, in 63 letters.
  void doing(std::string_view what);

  // All that follows may be called from any thread.

  // How many ranks are on this node.
  int places() const { return places_; }

  // The collective that this rank entered last, in any group; "" if none.
  std::string position() const;
  // One line for each rank of this node that others wait for, or whose process is stopped or gone.
  std::vector<std::string> blame() const;

  // Something is wrong: all ranks of the node are to report and leave. True for the first caller.
  bool raise_alarm();
  bool alarmed() const;
  // This rank has said what it had to say.
  void set_reported();
  // Whether all ranks of the node have, except those that cannot.
  bool all_reported() const;

 private:
  struct Channel {
    uint64_t group = 0;
    std::vector<int> places;  // of the other members on this node
  };

  std::string describe(int place) const;
  std::string conflict(int channel, const Signature& mine, uint64_t hash) const;
  std::string missed_by(int place) const;

  std::shared_ptr<void> owner_;
  Page& page_;
  uint64_t id_;
  int places_;
  int mine_;
  int rank_;
  uint64_t used_ = 0;
  uint64_t groups_ = 0;
  std::vector<Channel> channels_;
};

}  // namespace heddle
