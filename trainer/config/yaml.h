// A run's config: from YAML, to YAML, and compared.
//
//   PosixFileSystem files;
//   Config config = read_config(files, "configs/sst2.yaml", {"optimizer.lr=3e-5"});
//   write_file_atomically(files, "run/config.yaml", to_yaml(config));
//   for (const Difference& d : differences(stored, config)) { ... }
//
// Everything wrong with a file is found before any weight is read, and reported together, one line
// each: "configs/sst2.yaml:14: unknown key 'learing_rate' in 'optimizer'; did you mean 'lr'?".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "framework/io/file_system.h"
#include "trainer/config/schema.h"

namespace heddle {

// The config in the file `path`, with each `--set` assignment "KEY.PATH=VALUE" put in; resolved and
// checked (checks.h). Throws Error(kInput).
Config read_config(FileSystem& files, const std::string& path,
                   const std::vector<std::string>& assignments = {});

// The same from text; `name` stands for the file in messages.
Config parse_config(std::string_view text, const std::string& name,
                    const std::vector<std::string>& assignments = {});

// Every key with its value. `parse_config` reads it back to an equal config.
std::string to_yaml(const Config& config);

// One key with a value in each of two configs, as YAML.
struct Difference {
  std::string key;
  std::string before;
  std::string after;
};

// The keys that change losses or weights and differ, in the order of the schema. A run goes on only
// under a config for which there are none.
std::vector<Difference> differences(const Config& before, const Config& after);
// All keys that differ.
std::vector<Difference> all_differences(const Config& before, const Config& after);

}  // namespace heddle
