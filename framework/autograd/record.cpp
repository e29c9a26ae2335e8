#include "framework/autograd/record.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "framework/autograd/captured.h"
#include "framework/device/profile.h"

namespace heddle {
namespace {

thread_local int no_grad_depth = 0;
thread_local int64_t next_order = 0;
thread_local std::function<void(const Variable&)> gradient_arrived;
thread_local bool met_dependence = false;  // see GradientProbe

void add_bf16(std::span<BFloat16> sum, const BFloat16* term) {
  for (BFloat16& a : sum) {
    a.bits = f32_to_bf16(bf16_to_f32(a.bits) + bf16_to_f32(term->bits));
    ++term;
  }
}

void add_into(const Tensor& sum, const Tensor& term) {
  check(sum.shape() == term.shape(), "[backward] gradients of shapes {} and {} meet.", sum.shape(),
        term.shape());
  check(sum.dtype() == term.dtype(), "[backward] gradients of types {} and {} meet.",
        name_of(sum.dtype()), name_of(term.dtype()));
  if (sum.device().is_meta()) return;
  if (sum.dtype() == DType::kBF16) return add_bf16(sum.span<BFloat16>(), term.data<BFloat16>());
  float* a = sum.data<float>();
  const float* b = term.data<float>();
  const int64_t n = sum.numel();
  for (int64_t i = 0; i < n; ++i) a[i] += b[i];
}

// Adds row-sparse values to the rows of a dense tensor.
void add_rows(const Tensor& dense, const Gradient& sparse) {
  if (dense.device().is_meta()) return;
  const int64_t width = dense.numel() / dense.dim(0);
  const int32_t* rows = sparse.rows.data<int32_t>();
  for (int64_t r = 0; r < sparse.rows.numel(); ++r) {
    float* a = dense.data<float>() + rows[r] * width;
    const float* b = sparse.values.data<float>() + r * width;
    for (int64_t i = 0; i < width; ++i) a[i] += b[i];
  }
}

// The union of two sorted row lists; rows that both have are added.
Gradient merge_rows(const Gradient& a, const Gradient& b) {
  const int64_t width = a.values.numel() / std::max<int64_t>(1, a.rows.numel());
  const auto ra = a.rows.span<int32_t>();
  const auto rb = b.rows.span<int32_t>();
  std::vector<int32_t> rows;
  std::ranges::set_union(ra, rb, std::back_inserter(rows));
  const auto count = static_cast<int64_t>(rows.size());
  Tensor values = Tensor::zeros({count, width}, DType::kF32, a.values.device());
  Tensor index = Tensor::from<int32_t>(rows, {count}, a.rows.device());
  for (const Gradient* part : {&a, &b}) {
    const auto from = part->rows.span<int32_t>();
    for (size_t i = 0; i < from.size(); ++i) {
      const auto at = std::ranges::lower_bound(rows, from[i]) - rows.begin();
      float* to = values.data<float>() + at * width;
      const float* v = part->values.data<float>() + static_cast<int64_t>(i) * width;
      for (int64_t c = 0; c < width; ++c) to[c] += v[c];
    }
  }
  return {index, values};
}

void accumulate(Gradient& sum, Gradient term) {
  if (!sum.defined()) {
    sum = std::move(term);
  } else if (sum.sparse() && term.sparse()) {
    sum = merge_rows(sum, term);
  } else if (sum.sparse()) {
    std::swap(sum, term);
    accumulate(sum, std::move(term));
  } else {
    // An op may have returned one tensor for two inputs: only memory of our own is changed.
    if (sum.values.owners() > 1) sum.values = sum.values.clone();
    if (term.sparse())
      add_rows(sum.values, term);
    else
      add_into(sum.values, term.values);
  }
}

// As `accumulate`, but the result stays in the variable's slot where there is one.
void accumulate(Variable& variable, Gradient term) {
  const bool in_slot = variable.gradient.defined() && !variable.gradient.sparse() &&
                       variable.slot.defined() &&
                       variable.gradient.values.raw() == variable.slot.raw();
  if (in_slot) {
    if (term.sparse())
      add_rows(variable.slot, term);
    else
      add_into(variable.slot, term.values);
    return;
  }
  accumulate(variable.gradient, std::move(term));
  Gradient& gradient = variable.gradient;
  if (variable.slot.defined() && !gradient.sparse() &&
      gradient.values.raw() != variable.slot.raw()) {
    variable.slot.copy_from(gradient.values);
    gradient.values = variable.slot;
  }
}

}  // namespace

GradientListener::GradientListener(std::function<void(const Variable&)> arrived)
    : outer_(std::exchange(gradient_arrived, std::move(arrived))) {}

GradientListener::~GradientListener() {
  gradient_arrived = std::move(outer_);
}

NoGrad::NoGrad() {
  ++no_grad_depth;
}
NoGrad::~NoGrad() {
  --no_grad_depth;
}

bool needs_gradient(std::span<const Tensor> inputs) {
  if (std::ranges::none_of(inputs, [](const Tensor& t) { return t.node() != nullptr; })) {
    return false;
  }
  met_dependence = true;
  return no_grad_depth == 0;
}

bool is_recording() {
  return no_grad_depth == 0;
}

GradientProbe::GradientProbe() : outer_(std::exchange(met_dependence, false)) {}
GradientProbe::~GradientProbe() {
  met_dependence = met_dependence || outer_;
}

bool GradientProbe::found() const {
  return met_dependence;
}

Tensor record(Tensor y, std::span<const Tensor> inputs, BackwardFunction backward, Remake again) {
  if (!needs_gradient(inputs)) return y;
  auto node = std::make_shared<Node>();
  node->order = ++next_order;
  for (const Tensor& input : inputs) node->inputs.push_back(input.node());
  node->backward = std::move(backward);
  node->again = std::move(again);
  node->module = profiled_module();
  y.set_node(std::move(node));
  return y;
}

Saved::Saved(const Tensor& tensor) {
  if (tensor.node() && tensor.node()->again)
    again_ = tensor.node()->again;
  else
    data_ = tensor.detach();
}

Tensor variable(const Tensor& value, const Tensor& slot) {
  check(!slot.defined() || slot.shape() == value.shape(),
        "[variable] a slot of shape {} for a value of shape {}.", slot.shape(), value.shape());
  auto node = std::make_shared<Node>();
  node->variable = std::make_unique<Variable>();
  node->variable->slot = slot;
  Tensor t = value.detach();
  t.set_node(std::move(node));
  return t;
}

bool is_variable(const Tensor& tensor) {
  return tensor.node() && tensor.node()->variable;
}

Variable& variable_state(const Tensor& tensor) {
  check(is_variable(tensor), "[variable] a tensor of shape {} is no variable.", tensor.shape());
  return *tensor.node()->variable;
}

Tensor gradient_like(const Tensor& input) {
  if (is_variable(input)) {
    Variable& v = variable_state(input);
    if (v.slot.defined() && !v.slot_used) {
      v.slot_used = true;
      return v.slot;
    }
  }
  return Tensor::empty_like(input);
}

void backward(const Tensor& y, const Tensor& dy) {
  check(y.node() != nullptr, "[backward] a tensor of shape {} depends on no variable.", y.shape());
  check(dy.shape() == y.shape(), "[backward] dy of shape {} for y of shape {}.", dy.shape(),
        y.shape());
  struct Pending {
    std::shared_ptr<Node> node;
    Gradient gradient;
  };
  // Latest on the tape first: all of a tensor's uses come after it.
  std::map<int64_t, Pending, std::greater<>> pending;
  pending[y.node()->order] = {y.node(), dy};
  while (!pending.empty()) {
    Pending now = std::move(pending.begin()->second);
    pending.erase(pending.begin());
    const ProfiledBackward span(now.node->module);
    check(now.node->backward != nullptr, "[backward] this tape has been run before.");
    check(!now.gradient.sparse(), "[backward] a row-sparse gradient reached an op's output.");
    Gradients gradients = now.node->backward(now.gradient.values);
    now.node->backward = nullptr;
    now.node->again = nullptr;
    check(gradients.size() == now.node->inputs.size(), "[backward] {} gradients for {} inputs.",
          gradients.size(), now.node->inputs.size());
    for (size_t i = 0; i < gradients.size(); ++i) {
      const std::shared_ptr<Node>& input = now.node->inputs[i];
      if (!input || !gradients[i].defined()) continue;
      if (input->variable) {
        accumulate(*input->variable, std::move(gradients[i]));
        if (gradient_arrived) gradient_arrived(*input->variable);
      } else {
        Pending& p = pending[input->order];
        p.node = input;
        accumulate(p.gradient, std::move(gradients[i]));
      }
    }
  }
}

}  // namespace heddle
