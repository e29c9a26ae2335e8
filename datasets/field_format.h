// A field in the syntax of each format; what RowWriter is built on.
#pragma once

#include <string>
#include <string_view>

#include "datasets/paths.h"

namespace heddle {

// Appends `value` as one field of a row. For kJsonl as a string in quotes.
void append_text(Format format, std::string_view value, std::string& out);
// Appends JSON other than a string as one field.
void append_json(Format format, std::string_view value, std::string& out);
// Appends the shortest digits that read back as `value`.
void append_number(Format format, float value, std::string& out);

}  // namespace heddle
