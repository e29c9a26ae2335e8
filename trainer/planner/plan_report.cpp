// A plan as a table and as JSON.
#include "trainer/log/format.h"
#include "trainer/metrics/text_table.h"
#include "trainer/planner/plan.h"

namespace heddle {
namespace {

std::string bytes(int64_t count) {
  return format_bytes(static_cast<uint64_t>(count));
}

std::string heading(const Plan& plan) {
  const ClassifierConfig& model = plan.input.model;
  const Machine& machine = plan.machine;
  std::string text = fmt::format("model    {}, {} layers of {}, {} heads\n", model.family,
                                 model.layers, model.hidden_size, model.heads);
  if (plan.input.config.parallel.sequence) {
    text += "         its rows between the matrices split over the ranks of tensor\n";
  }
  text += fmt::format("machine  {} ({})\n", machine.name,
                      machine.measured
                          ? "rates measured here; times for more ranks than fit it are predicted"
                          : "described in a file; all times are predicted");
  for (const std::string& assumption : plan.input.assumptions) {
    text += fmt::format("assumed  {}\n", assumption);
  }
  return text + "\n";
}

std::string verdict(const PlannedMesh& mesh) {
  if (!mesh.obstacle.empty()) return "no: " + mesh.obstacle;
  return mesh.condition.empty() ? "yes" : "yes, with " + mesh.condition;
}

}  // namespace

std::string plan_table(const Plan& plan) {
  TextTable table({{"ranks", Align::kRight},
                   {"data x tensor", Align::kRight},
                   {"zero", Align::kRight},
                   {"parameters", Align::kRight},
                   {"gradients", Align::kRight},
                   {"optimizer", Align::kRight},
                   {"activations", Align::kRight},
                   {"workspace", Align::kRight},
                   {"messages", Align::kRight},
                   {"a rank", Align::kRight},
                   {"s/step", Align::kRight},
                   {"fits", Align::kLeft}});
  for (const PlannedMesh& mesh : plan.meshes) {
    const MemoryTerms& b = mesh.rank.bytes;
    table.add({std::to_string(mesh.mesh.ranks()),
               fmt::format("{} x {}", mesh.mesh.data, mesh.mesh.tensor),
               std::to_string(mesh.mesh.zero), bytes(b.parameters), bytes(b.gradients),
               bytes(b.optimizer), bytes(b.activations), bytes(b.workspace), bytes(b.communication),
               bytes(mesh.needs), format_number(mesh.time.total()), verdict(mesh)});
  }
  return heading(plan) + table.text() + "\n" + plan.advice + "\n";
}

Json to_json(const Plan& plan) {
  Json json = {{"machine", {{"name", plan.machine.name}, {"measured", plan.machine.measured}}},
               {"assumptions", plan.input.assumptions},
               {"batch_tokens", plan.input.batch_tokens()},
               {"sequence", plan.input.config.parallel.sequence},
               {"advice", plan.advice},
               {"meshes", Json::array()}};
  for (const PlannedMesh& mesh : plan.meshes) {
    const MemoryTerms& b = mesh.rank.bytes;
    const StepTime& t = mesh.time;
    json["meshes"].push_back({{"data", mesh.mesh.data},
                              {"tensor", mesh.mesh.tensor},
                              {"zero", mesh.mesh.zero},
                              {"parameters_of_rank", mesh.rank.parameters},
                              {"tokens_of_rank", mesh.rank.tokens},
                              {"passes", mesh.rank.passes},
                              {"bytes",
                               {{"parameters", b.parameters},
                                {"gradients", b.gradients},
                                {"optimizer", b.optimizer},
                                {"activations", b.activations},
                                {"workspace", b.workspace},
                                {"communication", b.communication},
                                {"allocator", b.allocated()},
                                {"process", mesh.needs}}},
                              {"memory", mesh.memory},
                              {"largest", b.largest()},
                              {"fits", mesh.obstacle.empty()},
                              {"obstacle", mesh.obstacle},
                              {"condition", mesh.condition},
                              {"seconds",
                               {{"step", t.total()},
                                {"products", t.products},
                                {"attention", t.attention},
                                {"elements", t.elements},
                                {"tensor_sums", t.tensor},
                                {"gradient_sums", t.gradients},
                                {"update", t.update}}}});
  }
  if (plan.best) json["best"] = *plan.best;
  return json;
}

}  // namespace heddle
