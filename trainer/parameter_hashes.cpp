#include "trainer/parameter_hashes.h"

#include "framework/io/hash.h"

namespace heddle {

std::string hash_parameters(const ParameterArena& arena) {
  Hasher hasher;
  for (const ParameterArena::Entry& entry : arena.entries()) {
    hasher.update(std::as_bytes(entry.parameter->value.span<const float>()));
  }
  return hasher.hex();
}

Json hash_each_parameter(const ParameterArena& arena) {
  Json hashes = Json::object();
  for (const ParameterArena::Entry& entry : arena.entries()) {
    hashes[entry.name] = hash_hex(std::as_bytes(entry.parameter->value.span<const float>()));
  }
  return hashes;
}

}  // namespace heddle
