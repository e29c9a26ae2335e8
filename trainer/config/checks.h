// What one key of a config cannot know alone.
#pragma once

#include "trainer/config/problems.h"
#include "trainer/config/schema.h"

namespace heddle {

// Fills in what follows from other keys: the columns of validation and test data from those of
// training, the batch size and the epochs where nothing is said. Changes nothing the second time.
void resolve(Config& config);

// Adds every pair of values that do not go together to `problems`; `config` is as `resolve` left
// it.
void check_together(const Config& config, Problems& problems);

}  // namespace heddle
