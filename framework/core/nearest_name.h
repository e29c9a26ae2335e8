// The nearest known name to what a person wrote, for messages such as "did you mean 'epochs'?".
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace heddle {

// The member of `known` with the least edit distance (insert, delete, replace and swap of two
// neighbours count one each) to `name`, or "" if none is near: more than a third of the longer
// name's letters differ.
std::string nearest_name(std::string_view name, std::span<const std::string> known);

// "did you mean 'X'?" or, when nothing is near, "known: A, B, C". "" if `known` is empty.
std::string did_you_mean(std::string_view name, std::span<const std::string> known);

}  // namespace heddle
