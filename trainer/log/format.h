// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace heddle {

// "45 s", "3 min 04 s", "2 h 03 min", "5 d 07 h"; "?" for what is not finite or negative.
std::string format_duration(double seconds);

// "60,614".
std::string format_count(int64_t count);

// Four significant digits at most, no zeros at the end: "0.2134", "12.5", "3.1e-06"; "n/a" for NaN.
std::string format_number(double value);

// "612 MiB", "1.50 GiB".
std::string format_bytes(uint64_t bytes);

}  // namespace heddle
