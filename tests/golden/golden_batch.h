// The padded tensors of golden.safetensors as packed sequences.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "datasets/packing.h"
#include "framework/io/safetensors.h"

namespace heddle {

// The values of a tensor of dtype T.
template <typename T>
std::vector<T> values_of(const SafetensorsFile& file, const std::string& name) {
  const SafetensorsEntry& entry = file.at(name);
  check(entry.dtype == dtype_of<T>(), "[golden] '{}' is {}.", name, name_of(entry.dtype));
  std::vector<T> values(entry.bytes.size() / sizeof(T));
  std::memcpy(values.data(), entry.bytes.data(), entry.bytes.size());
  return values;
}

// Integers of any width.
inline std::vector<int64_t> integers_of(const SafetensorsFile& file, const std::string& name) {
  if (file.at(name).dtype == DType::kI64) return values_of<int64_t>(file, name);
  const std::vector<int32_t> narrow = values_of<int32_t>(file, name);
  return {narrow.begin(), narrow.end()};
}

// input_ids [B, T] and token_type_ids, where there are any, without their padding.
inline PackedSequences golden_batch(const SafetensorsFile& golden) {
  const std::vector<int64_t> lengths = integers_of(golden, "lengths");
  const std::vector<int64_t> ids = integers_of(golden, "input_ids");
  std::vector<int64_t> types;
  if (golden.contains("token_type_ids")) types = integers_of(golden, "token_type_ids");
  const size_t width = ids.size() / lengths.size();
  PackedSequences packed;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const auto length = static_cast<size_t>(lengths[s]);
    const auto row = ids.begin() + static_cast<int64_t>(s * width);
    const std::vector<int32_t> sequence(row, row + lengths[s]);
    packed.add(sequence, lengths[s], static_cast<int64_t>(s));
    for (size_t t = 0; t < length && !types.empty(); ++t) {
      packed.token_types[packed.token_types.size() - length + t] =
          static_cast<int32_t>(types[s * width + t]);
    }
  }
  return packed;
}

// The rows of a padded [B, T, H] that are not padding, one below another.
inline std::vector<float> packed_rows(const SafetensorsFile& golden, const std::string& name) {
  const std::vector<int64_t> lengths = integers_of(golden, "lengths");
  const std::vector<float> padded = values_of<float>(golden, name);
  const auto& shape = golden.at(name).shape;
  const auto stride = static_cast<size_t>(shape[1] * shape[2]);
  std::vector<float> rows;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const auto begin = padded.begin() + static_cast<int64_t>(s * stride);
    rows.insert(rows.end(), begin, begin + lengths[s] * shape[2]);
  }
  return rows;
}

}  // namespace heddle
