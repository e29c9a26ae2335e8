// Compressed bytes for tests; the product only reads them.
#pragma once

#include <string>
#include <string_view>

namespace heddle {

std::string gzip(std::string_view text);
std::string zstd(std::string_view text);

}  // namespace heddle
