#include "framework/core/tensor.h"

#include <algorithm>
#include <cstring>

#include "framework/device/allocator.h"

namespace heddle {

Tensor Tensor::empty(const Shape& shape, DType dtype, const Device& device) {
  const int64_t bytes = shape.numel() * size_of(dtype);
  return view(device.is_meta() ? allocate_planned(bytes) : allocate(bytes), shape, dtype, device);
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, const Device& device) {
  const int64_t bytes = shape.numel() * size_of(dtype);
  return view(device.is_meta() ? allocate_planned(bytes) : allocate_zeroed(bytes), shape, dtype,
              device);
}

Tensor Tensor::empty_like(const Tensor& other) {
  return empty(other.shape_, other.dtype_, other.device_);
}

Tensor Tensor::zeros_like(const Tensor& other) {
  return zeros(other.shape_, other.dtype_, other.device_);
}

Tensor Tensor::view(std::shared_ptr<std::byte> memory, const Shape& shape, DType dtype,
                    const Device& device) {
  Tensor t;
  t.memory_ = std::move(memory);
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.device_ = device;
  t.defined_ = true;
  return t;
}

Tensor Tensor::reshape(const Shape& shape) const {
  check(shape.numel() == numel(), "[reshape] {} to {}: the numbers of elements differ.", shape_,
        shape);
  return view(memory_, shape, dtype_, device_);
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  check(ndim() >= 1 && 0 <= begin && begin <= end && end <= dim(0),
        "[rows] [{}, {}) of a tensor of shape {}.", begin, end, shape_);
  std::array<int64_t, Shape::kMaxDims> dims{};
  std::copy(shape_.begin(), shape_.end(), dims.begin());
  dims[0] = end - begin;
  const Shape part(std::span<const int64_t>(dims.data(), static_cast<size_t>(ndim())));
  const int64_t row_bytes = dim(0) == 0 ? 0 : bytes() / dim(0);
  std::byte* first = memory_ ? memory_.get() + begin * row_bytes : nullptr;
  std::shared_ptr<std::byte> memory(memory_, first);
  return view(std::move(memory), part, dtype_, device_);
}

Tensor Tensor::clone() const {
  Tensor t = empty_like(*this);
  t.copy_from(*this);
  return t;
}

void Tensor::copy_from(const Tensor& other) const {
  check(shape_ == other.shape_ && dtype_ == other.dtype_, "[copy] {} {} into {} {}.",
        name_of(other.dtype_), other.shape_, name_of(dtype_), shape_);
  if (memory_ && memory_ != other.memory_ && numel() > 0) {
    std::memcpy(memory_.get(), other.memory_.get(), static_cast<size_t>(bytes()));
  }
}

void Tensor::fill(float value) const {
  if (!device_.is_meta()) std::ranges::fill(span<float>(), value);
}

Tensor Tensor::detach() const {
  Tensor t = *this;
  t.node_ = nullptr;
  return t;
}

}  // namespace heddle
