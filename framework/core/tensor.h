// A tensor: shape, element type, device, and shared memory. A value that is cheap to copy; copies
// share the memory.
//
//   Tensor x = Tensor::zeros({tokens, hidden});
//   Tensor first = x.rows(0, 1);                 // a view of row 0
//   std::span<float> values = x.span<float>();
//
// Tensors are contiguous. On the meta device there is a shape and no memory.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "framework/core/dtype.h"
#include "framework/core/error.h"
#include "framework/core/shape.h"
#include "framework/device/device.h"

namespace heddle {

struct Node;  // framework/autograd/record.h

class Tensor {
 public:
  // Undefined: no shape, no memory. Stands for "there is none" (a layer without bias).
  Tensor() = default;

  static Tensor empty(const Shape& shape, DType dtype = DType::kF32,
                      const Device& device = Device::cpu());
  static Tensor zeros(const Shape& shape, DType dtype = DType::kF32,
                      const Device& device = Device::cpu());
  static Tensor empty_like(const Tensor& other);
  static Tensor zeros_like(const Tensor& other);
  // A copy of `values` in the given shape.
  template <typename T>
  static Tensor from(std::span<const T> values, const Shape& shape,
                     const Device& device = Device::cpu());
  // A view of memory that someone else owns and `owner` keeps alive.
  static Tensor view(std::shared_ptr<std::byte> memory, const Shape& shape, DType dtype,
                     const Device& device);

  // The same of memory that must not be written: no op writes into its inputs.
  static Tensor view_read_only(std::shared_ptr<const std::byte> memory, const Shape& shape,
                               DType dtype) {
    return view(std::const_pointer_cast<std::byte>(std::move(memory)), shape, dtype, Device::cpu());
  }

  bool defined() const { return defined_; }
  const Shape& shape() const { return shape_; }
  int ndim() const { return shape_.ndim(); }
  int64_t dim(int i) const { return shape_[i]; }
  int64_t numel() const { return shape_.numel(); }
  DType dtype() const { return dtype_; }
  int64_t bytes() const { return numel() * size_of(dtype_); }
  const Device& device() const { return device_; }

  // The elements; the type must be the tensor's. Not on the meta device.
  template <typename T>
  T* data() const;
  template <typename T>
  std::span<T> span() const {
    return {data<T>(), static_cast<size_t>(numel())};
  }
  std::byte* raw() const { return memory_.get(); }

  // The same elements in another shape. Gradients do not flow through views.
  Tensor reshape(const Shape& shape) const;
  // Rows [begin, end) of the first dimension.
  Tensor rows(int64_t begin, int64_t end) const;
  // A copy with memory of its own.
  Tensor clone() const;
  // Elements copied from a tensor of the same shape and dtype.
  void copy_from(const Tensor& other) const;
  void fill(float value) const;

  // Owners of this memory: 1 means that nobody else can see a change.
  long owners() const { return memory_.use_count(); }

  // The tape's entry that made this tensor, or null. The engine's business.
  const std::shared_ptr<Node>& node() const { return node_; }
  void set_node(std::shared_ptr<Node> node) { node_ = std::move(node); }
  Tensor detach() const;

 private:
  std::shared_ptr<std::byte> memory_;  // points at the first element
  Shape shape_;
  DType dtype_ = DType::kF32;
  Device device_ = Device::cpu();
  bool defined_ = false;
  std::shared_ptr<Node> node_;
};

template <typename T>
T* Tensor::data() const {
  check(defined_, "[tensor] data of an undefined tensor.");
  check(!device_.is_meta(), "[tensor] data of a meta tensor of shape {}.", shape_);
  check(dtype_ == dtype_of<std::remove_const_t<T>>(), "[tensor] data<{}> of a {} tensor.",
        name_of(dtype_of<std::remove_const_t<T>>()), name_of(dtype_));
  return reinterpret_cast<T*>(memory_.get());
}

template <typename T>
Tensor Tensor::from(std::span<const T> values, const Shape& shape, const Device& device) {
  check(static_cast<int64_t>(values.size()) == shape.numel(), "[tensor] {} values for shape {}.",
        values.size(), shape);
  Tensor t = empty(shape, dtype_of<T>(), device);
  if (!device.is_meta()) std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

}  // namespace heddle
