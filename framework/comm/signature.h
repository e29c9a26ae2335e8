// What a rank is about to do together with others: compared between ranks so that a mix-up is
// reported instead of hanging, and shown by the watchdog.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace heddle {

struct Signature {
  int64_t sequence = 0;        // how many collectives this group has entered, this one included
  std::string_view operation;  // "all_reduce sum"; a literal
  std::string_view dtype;      // "f32"; a literal
  int64_t count = 0;           // elements; 0 where ranks may differ
  std::string name;            // what the caller calls the data: "layer3.mlp.down.grad"

  bool operator==(const Signature&) const = default;
};

// "#1042 all_reduce sum f32 x 1024 'layer3.mlp.down.grad'"
inline std::string to_string(const Signature& s) {
  std::string text = fmt::format("#{} {}", s.sequence, s.operation);
  if (s.count > 0) text += fmt::format(" {} x {}", s.dtype, s.count);
  if (!s.name.empty()) text += fmt::format(" '{}'", s.name);
  return text;
}

struct RankAt {
  int rank = 0;
  std::string text;  // to_string of its signature
};
// The message for ranks that entered different collectives; those at the same one are put together.
std::string mismatch_text(std::span<const RankAt> sides);

}  // namespace heddle
