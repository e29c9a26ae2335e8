// CRC-32C (Castagnoli), as RFC 3720 and the TFRecord format use it.
#pragma once

#include <cstdint>
#include <string_view>

namespace heddle {

// crc32c("123456789") == 0xE3069283.
uint32_t crc32c(std::string_view bytes);

// The checksum that TFRecord stores: a CRC of data that holds CRCs would be weak, so it is rotated
// by 15 bits and moved by a constant.
uint32_t masked_crc32c(std::string_view bytes);

}  // namespace heddle
