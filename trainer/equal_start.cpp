#include "trainer/equal_start.h"

#include <algorithm>
#include <vector>

#include "framework/comm/collectives.h"
#include "framework/core/error.h"
#include "trainer/config/yaml.h"

namespace heddle {
namespace {

uint64_t hash_of(const std::string& text) {  // FNV-1a: the same in every build
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace

void require_equal_start(Communicator& world, const Config& config, const std::string& resume) {
  const std::string start = fmt::format("heddle: {}\n--resume: {}\n", HEDDLE_VERSION, resume);
  const std::string yaml = to_yaml(config);
  const std::vector<uint64_t> hashes = all_gather(world, hash_of(start + yaml), "config");
  const auto other = std::ranges::find_if(hashes, [&](uint64_t h) { return h != hashes[0]; });
  if (other == hashes.end()) return;
  const auto rank = static_cast<int>(other - hashes.begin());
  const std::string starts[] = {broadcast_text(world, start, 0),
                                broadcast_text(world, start, rank)};
  const std::string yamls[] = {broadcast_text(world, yaml, 0), broadcast_text(world, yaml, rank)};
  std::string list;
  if (starts[0] != starts[1]) {
    list += fmt::format("\n  rank 0:\n{}  rank {}:\n{}", starts[0], rank, starts[1]);
  } else {
    const std::string name = "config";
    for (const Difference& d :
         all_differences(parse_config(yamls[0], name), parse_config(yamls[1], name))) {
      list += fmt::format("\n  {}: {} -> {}", d.key, d.before, d.after);
    }
  }
  throw Error(ExitCode::kInput,
              fmt::format("rank {} was started with something else than rank 0:{}", rank, list),
              "start all ranks with the same program, file and options");
}

}  // namespace heddle
