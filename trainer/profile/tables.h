// A profile in words: what each op, module and stage took, and how near it came to what the machine
// can do.
#pragma once

#include <optional>
#include <string>

#include "trainer/planner/limits.h"
#include "trainer/profile/totals.h"

namespace heddle {

// Times are of a rank, means where there are several. The share of the limit is, for what
// multiplies, of the fastest product of its precision; for the others, of copying memory, and more
// than 100 % where caches serve.
std::string profile_tables(const ProfileTotals& totals, const std::optional<MachineLimits>& limits);

}  // namespace heddle
