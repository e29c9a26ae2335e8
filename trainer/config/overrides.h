// `--set KEY=VALUE` of the command line, put into the tree of a config file.
#pragma once

#include <span>
#include <string>

#include "trainer/config/yaml_tree.h"

namespace heddle {

// Sets each "optimizer.lr=3e-5" in turn. A list's items go by number: "optimizer.groups.0.lr=1e-4";
// the number after the last appends. Keys that are not there are made. Setting one of two keys that
// exclude each other (batch.size and batch.tokens) takes the other out of the file.
// Throws Error(kInput) that names the assignment if it has no '=' or an empty key, or if it leads
// into a value that holds no keys.
void apply_overrides(YamlNode& root, std::span<const std::string> assignments);

}  // namespace heddle
