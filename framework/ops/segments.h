// Where the sequences of a packed batch begin: sequence s owns the rows
// [offsets[s], offsets[s + 1]).
//
//   Segments segments = Segments::from(std::vector<int32_t>{0, 13, 20});   // 13 and 7 tokens
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "framework/core/tensor.h"

namespace heddle {

class Segments {
 public:
  // No sequences and no rows.
  Segments() = default;
  // `offsets` [S + 1]: from 0, ascending (an empty sequence is allowed).
  static Segments from(std::span<const int32_t> offsets, const Device& device = Device::cpu());

  int64_t count() const { return host_ ? static_cast<int64_t>(host_->size()) - 1 : 0; }  // S
  int64_t rows() const { return host_ ? host_->back() : 0; }                             // T
  int32_t max_length() const { return max_length_; }
  int64_t length(int64_t s) const { return end(s) - begin(s); }
  int64_t begin(int64_t s) const { return (*host_)[static_cast<size_t>(s)]; }
  int64_t end(int64_t s) const { return (*host_)[static_cast<size_t>(s) + 1]; }

  // The offsets on the host, [S + 1], and on the device (i32).
  const int32_t* host() const { return host_ ? host_->data() : nullptr; }
  const Tensor& offsets() const { return offsets_; }

 private:
  std::shared_ptr<const std::vector<int32_t>> host_;
  Tensor offsets_;
  int32_t max_length_ = 0;
};

}  // namespace heddle
