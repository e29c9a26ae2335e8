// Modules and visitors: everything that is done to all parameters of a model is a visitor.
//
//   struct Linear : Module {
//     Parameter weight, bias;
//     Tensor operator()(const Tensor& x) const;
//     void visit(Visitor& v) override { v("weight", weight); v("bias", bias); }
//   };
//   for (auto& [name, parameter] : named_parameters(model)) …
//   // name: "layers.0.attention.output.weight"
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/device/profile.h"
#include "framework/nn/parameter.h"

namespace heddle {

class Visitor;

// Members are values; operator() has the layer's true signature, so it is not virtual.
struct Module {
  virtual ~Module() = default;
  virtual void visit(Visitor& visitor) = 0;

  std::string path;  // name_modules()

 protected:
  Module() = default;
  Module(const Module&) = default;
  Module& operator=(const Module&) = default;
};

// Walks a tree of modules; `name` in on_parameter is the path, joined by dots.
class Visitor {
 public:
  virtual ~Visitor() = default;

  void operator()(std::string_view name, Parameter& parameter);
  void operator()(std::string_view name, Module& module);
  template <typename M>
  void operator()(std::string_view name, std::vector<M>& modules) {
    for (size_t i = 0; i < modules.size(); ++i) {
      (*this)(std::string(name) + "." + std::to_string(i), modules[i]);
    }
  }

 protected:
  virtual void on_parameter(const std::string& name, Parameter& parameter) = 0;
  // Before what is in it.
  virtual void on_module(const std::string& /*path*/, Module& /*module*/) {}

 private:
  std::string prefix_;
};

using NamedParameters = std::vector<std::pair<std::string, Parameter*>>;

// Every parameter that exists, in the order of the visit. Shards of one tensor share its name.
NamedParameters named_parameters(Module& module);
// Elements of all whole parameters.
int64_t count_parameters(Module& module);

// Tells every module in `module` its path, such as "encoder.layers.3.attention", by which a profile
// names it (ProfiledModule).
void name_modules(Module& module);

// Packs the weights of all matrix products, rounded to `precision`, and lets go of the plain ones:
// the module can then be served, faster and in less memory, and no longer be trained.
void pack_weights(Module& module, Precision precision = Precision::kF32);

// Copies the tables whose rows are looked up into memory of their own. Those of a served model may
// lie in a file, through whose small pages a row that is not in the caches takes ten times as long.
void copy_tables(Module& module);

}  // namespace heddle
