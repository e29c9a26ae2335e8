// The documentation of a run's config, from the schema itself.
#pragma once

#include <string>

namespace heddle {

// Every key with its meaning, what it may be and its default, as YAML that `parse_config` reads:
// the text of configs/reference.yaml. Sections that are absent by default are commented out.
std::string describe();

}  // namespace heddle
