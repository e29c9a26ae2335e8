// The tape: what an op does to have a gradient, and how gradients flow back.
//
//   Tensor y = Tensor::empty_like(x);
//   on_device(x.device(), [&](auto on) { kernels::tanh(on, x, y); });
//   return record(y, {x}, [y = y.detach()](const Tensor& dy) {
//     return Gradients{tanh_backward(y, dy)};
//   });
//   …
//   backward(loss);             // fills `gradient()` of every variable below
//
// Ops return the gradient of each input, in order; only the engine accumulates, always in the same
// order, so the same graph gives the same bits.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "framework/core/tensor.h"

namespace heddle {

// The gradient of one tensor. If `rows` (i32 [n], sorted, unique) is defined, the gradient is zero
// but for those rows, and `values` is [n, width]: what an embedding table gets.
struct Gradient {
  Gradient() = default;
  Gradient(Tensor dense) : values(std::move(dense)) {}  // NOLINT: a tensor is a dense gradient
  Gradient(Tensor sorted_rows, Tensor row_values)
      : values(std::move(row_values)), rows(std::move(sorted_rows)) {}

  bool defined() const { return values.defined(); }
  bool sparse() const { return rows.defined(); }

  Tensor values;
  Tensor rows;
};

using Gradients = std::vector<Gradient>;  // undefined where an input needs none
using BackwardFunction = std::function<Gradients(const Tensor& dy)>;
// Makes an op's output once more, the same bits.
using Remake = std::function<Tensor()>;

// What a variable (a tensor that is trained) keeps besides its value.
struct Variable {
  Gradient gradient;  // of the last backward(); undefined before
  Tensor slot;        // where a dense gradient is to be written, if anywhere
  bool slot_used = false;
};

// An entry of the tape.
struct Node {
  int64_t order = 0;                          // grows along the tape
  std::vector<std::shared_ptr<Node>> inputs;  // null where an input needs no gradient
  BackwardFunction backward;                  // null in a variable
  Remake again;                               // null: who needs the output later keeps it
  std::unique_ptr<Variable> variable;         // null in an op's output
  int32_t module = 0;                         // that the op was recorded in (profile.h)
};

// Makes `y` the output of an op whose backward function maps dy to the inputs' gradients. Records
// nothing where no input needs a gradient or a NoGrad is alive: then `backward` is dropped at once,
// with all that it holds. `again`, if there is one, is what a Saved of `y` keeps.
Tensor record(Tensor y, std::span<const Tensor> inputs, BackwardFunction backward,
              Remake again = {});
inline Tensor record(Tensor y, std::initializer_list<Tensor> inputs, BackwardFunction backward,
                     Remake again = {}) {
  return record(std::move(y), std::span(inputs.begin(), inputs.size()), std::move(backward),
                std::move(again));
}

// What a backward function needs of a tensor: its data, or how to make it again where the op that
// made it says so.
class Saved {
 public:
  explicit Saved(const Tensor& tensor);
  // Once at most.
  Tensor get() const { return again_ ? again_() : data_; }

 private:
  Tensor data_;
  Remake again_;
};

// True if `record` would record for these inputs; ops use it to save less.
bool needs_gradient(std::span<const Tensor> inputs);
inline bool needs_gradient(std::initializer_list<Tensor> inputs) {
  return needs_gradient(std::span(inputs.begin(), inputs.size()));
}

// Makes `value` a variable: gradients stop there and are kept. `slot`, if defined, is memory of the
// same shape for its dense gradient (a place in an arena).
Tensor variable(const Tensor& value, const Tensor& slot = {});
bool is_variable(const Tensor& tensor);
// The state of a variable; `tensor` must be one.
Variable& variable_state(const Tensor& tensor);

// Memory for the gradient of `input`: its slot if it is a variable with a free one, so that the
// gradient is made where it is to be; else new memory. Contents are undefined.
Tensor gradient_like(const Tensor& input);

// Runs the tape back from `y`, whose gradient is `dy` (of y's shape; for a loss [1] holding 1).
// Frees the tape as it goes.
void backward(const Tensor& y, const Tensor& dy);

// While one is alive, backward() on this thread says which variable has just got a gradient, or a
// further term of it.
class GradientListener {
 public:
  explicit GradientListener(std::function<void(const Variable&)> arrived);
  ~GradientListener();
  GradientListener(const GradientListener&) = delete;
  GradientListener& operator=(const GradientListener&) = delete;

 private:
  std::function<void(const Variable&)> outer_;
};

// While one is alive, this thread records nothing.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;
};

}  // namespace heddle
