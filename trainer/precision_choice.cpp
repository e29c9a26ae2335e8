#include "trainer/precision_choice.h"

#include <fmt/format.h>

#include "framework/comm/collectives.h"
#include "framework/ops/precision_speed.h"

namespace heddle {

Precision fastest_safe_precision(Communicator& world) {
  const int64_t mine = fastest_safe_precision() == Precision::kBF16;
  const int64_t all = all_reduce(world, mine, Reduction::kMin, "precision");
  return all == 1 ? Precision::kBF16 : Precision::kF32;
}

std::optional<std::string> slow_precision(Precision precision) {
  if (has_fast_products(precision)) return {};
  return fmt::format(
      "precision {}: this processor has no fast products for it; f32 would be faster",
      name_of(precision));
}

}  // namespace heddle
