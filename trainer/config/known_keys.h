// The names of keys, for the message about one that does not exist.
#pragma once

#include <string>
#include <vector>

namespace heddle {

struct KnownKey {
  std::string key;                   // "lr", or with its section "optimizer.lr"
  std::vector<std::string> aliases;  // what other programs call it
};

// Every key of a config, with its section.
std::vector<KnownKey> all_known_keys();

// "did you mean 'lr'?" for 'learing_rate': the nearest name or alias among the keys of the section,
// else the same name anywhere in a config; else the list of the section's keys.
std::string suggestion(const std::string& unknown, const std::vector<KnownKey>& section);

}  // namespace heddle
