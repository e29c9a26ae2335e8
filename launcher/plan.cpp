// heddle plan CONFIG.yaml --ranks N: which meshes fit, bytes and seconds, and why not.
#include "trainer/planner/plan.h"

#include <memory>

#include "launcher/program.h"
#include "trainer/config/yaml.h"
#include "trainer/planner/measure.h"

namespace heddle {
namespace {

struct Options {
  std::string config;
  std::vector<std::string> assignments;
  std::string ranks = "1";
  std::optional<int64_t> memory;
  std::string cluster, json;
  int64_t length = 0;
  bool describe = false;
};

ExitCode plan_verb(Session& session, const Options& options) {
  if (!session.root()) return ExitCode::kDone;
  if (options.describe) {
    session.print(describe_cluster());
    return ExitCode::kDone;
  }
  if (options.config.empty()) {
    throw Error(ExitCode::kInput, "plan: no CONFIG given",
                "heddle plan --help shows how it is used");
  }
  FileSystem& files = session.files();
  const PlanOptions wanted{.ranks = parse_ranks(options.ranks), .memory = options.memory};
  Config config = read_config(files, options.config, options.assignments);
  if (session.threads_given()) config.threads = session.pool().threads();
  PlanInput input = plan_input(files, config, options.length);
  const Machine machine =
      options.cluster.empty()
          ? this_machine(files, default_cache_file(), processor_name(),
                         shape_of(input.model, plan_step(config, 1, input.lengths)))
          : read_cluster(files, options.cluster, input.model.precision);
  const Plan plan = make_plan(std::move(input), machine, wanted);
  session.print(plan_table(plan));
  if (!options.json.empty()) {
    write_file_atomically(files, options.json, dump_json(to_json(plan), 2) + "\n");
  }
  return ExitCode::kDone;
}

}  // namespace

void add_plan(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.verb(
      "plan", "Which meshes fit a machine: bytes of a rank, seconds of a step, and why not.",
      "heddle plan configs/sst2.yaml --ranks 1..8 --memory '4 GiB'\n"
      "  heddle plan configs/plans/bert_7b.yaml --ranks 64 --cluster "
      "configs/clusters/h100_64_nodes.yaml");
  verb->add_option("CONFIG", options->config, "the YAML file of the run");
  verb->add_option("--ranks", options->ranks,
                   "how many: 4, 1,2,16 or 1..64 (powers of two, and the ends)")
      ->capture_default_str();
  verb->add_option("--memory", options->memory,
                   "bytes that a rank may have, such as '16 GiB'; otherwise as the machine has")
      ->transform(as_bytes());
  verb->add_option("--cluster", options->cluster,
                   "a YAML file about machines that are not here; otherwise this one is measured");
  verb->add_option("--length", options->length,
                   "tokens of every sequence; 0: as tokenized data say, else data.max_length")
      ->check(whole_number(0, 1 << 24));
  verb->add_option("--json", options->json, "write the plan into this file, too");
  verb->add_flag("--describe", options->describe, "print every key of a cluster's file");
  verb->add_option("--set", options->assignments, "key.path=value, wins over the file; repeatable")
      ->expected(1)
      ->take_all();
  program.on_run(verb, [options](Session& session) { return plan_verb(session, *options); });
}

}  // namespace heddle
