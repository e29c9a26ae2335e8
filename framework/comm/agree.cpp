#include "framework/comm/agree.h"

#include <array>
#include <bit>

#include "framework/core/error.h"

namespace heddle {

Agreement agree(Communicator& group, const StepReport& mine) {
  check(mine.error >= 0, "[agree] error code {}. Expected 0 or more.", mine.error);
  const auto hash = std::bit_cast<int64_t>(mine.hash);
  // The largest error wins and, among equals, the lowest rank. max(~x) is ~min(x).
  const int64_t error =
      mine.error == 0 ? 0 : (int64_t{mine.error} << 32) | (INT32_MAX - group.rank());
  std::array<int64_t, 8> message = {mine.step, ~mine.step, mine.stop, mine.non_finite,
                                    error,     hash,       ~hash,     0};
  static_assert(sizeof(message) == 64);
  group.all_reduce(std::span<int64_t>(message), Reduction::kMax, "agree");
  if (message[0] != ~message[1]) {
    throw Error(ExitCode::kInternal,
                fmt::format("ranks are at different steps: {} to {}", ~message[1], message[0]));
  }
  Agreement all;
  all.stop = message[2] != 0;
  all.non_finite = message[3] != 0;
  if (message[4] != 0) {
    all.error = static_cast<int>(message[4] >> 32);
    all.error_rank = static_cast<int>(INT32_MAX - (message[4] & 0xffffffff));
  }
  all.hashes_equal = message[5] == ~message[6];
  return all;
}

}  // namespace heddle
