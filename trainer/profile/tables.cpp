#include "trainer/profile/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "trainer/metrics/text_table.h"

namespace heddle {
namespace {

// What takes less of the run is one line together.
constexpr double kLeastShare = 0.0005;
constexpr double kGiga = 1e9;

struct Sum {
  int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0;

  void add(const ProfileLine& line) {
    calls += line.calls;
    seconds += line.seconds;
    flops += line.flops;
    bytes += line.bytes;
  }
};

class Tables {
 public:
  Tables(const ProfileTotals& totals, const std::optional<MachineLimits>& limits)
      : totals_(totals), limits_(limits), ranks_(static_cast<double>(totals.ranks)) {}

  std::string text() const {
    return fmt::format("{}\n{}\n{}\n{}{}", summary(), ops(), modules(), outside(), others());
  }

 private:
  std::string seconds(double of_all) const { return fmt::format("{:.3f}", of_all / ranks_); }
  double share(double of_all) const { return of_all / ranks_ / totals_.seconds; }
  std::string share_text(double of_all) const {
    return fmt::format("{:.1f} %", 100 * share(of_all));
  }
  std::string calls(int64_t of_all) const {
    return fmt::format("{:.0f}", static_cast<double>(of_all) / ranks_);
  }
  static std::string rate(double amount, double seconds) {
    return amount > 0 && seconds > 0 ? fmt::format("{:.1f}", amount / seconds / kGiga) : "";
  }

  std::string of_limit(const Sum& sum, const std::string& type) const {
    if (!limits_ || sum.seconds <= 0) return "";
    const double limit = sum.flops > 0 ? limits_->product_rate(type) : limits_->memory_rate();
    const double amount = sum.flops > 0 ? sum.flops : sum.bytes;
    if (limit <= 0 || amount <= 0) return "";
    return fmt::format("{:.0f} %", 100 * amount / sum.seconds / limit);
  }

  // Of the main threads of all ranks.
  double seconds_of(SpanKind kind) const {
    double sum = 0;
    for (const ProfileLine& line : totals_.lines) {
      if (line.main && line.kind == kind) sum += line.seconds;
    }
    return sum;
  }

  std::string summary() const {
    double useful = 0;
    for (const ProfileLine& line : totals_.lines) {
      if (line.pass != TapePass::kRecomputed) useful += line.flops;
    }
    std::string text = fmt::format(
        "profile of {} rank{} x {} thread{}: {:.3f} seconds, {} in ops; useful: {} GFLOP/s\n",
        totals_.ranks, totals_.ranks == 1 ? "" : "s", totals_.threads,
        totals_.threads == 1 ? "" : "s", totals_.seconds, share_text(seconds_of(SpanKind::kOp)),
        fmt::format("{:.1f}", useful / ranks_ / totals_.seconds / kGiga));
    if (!limits_) {
      return text + fmt::format(
                        "no limits of this machine are known: measure them by {}heddle "
                        "bench --threads {}\n",
                        totals_.ranks > 1 ? fmt::format("mpirun -n {} ", totals_.ranks) : "",
                        totals_.threads);
    }
    std::string rates;
    for (const char* precision : {"f32", "bf16", "int8"}) {
      const double limit = limits_->product_rate(precision);
      if (limit > 0) rates += fmt::format("{} {:.0f} GFLOP/s, ", precision, limit / kGiga);
    }
    return text +
           fmt::format("limits: {}memory {:.1f} GB/s\n", rates, limits_->memory_rate() / kGiga);
  }

  std::string ops() const {
    std::map<std::pair<std::string, std::string>, Sum> sums;  // by title and type
    std::set<std::pair<std::string, std::string>> recomputed;
    for (const ProfileLine& line : totals_.lines) {
      if (!line.main || line.kind != SpanKind::kOp) continue;
      sums[{line.title(), line.type}].add(line);
      if (line.pass == TapePass::kRecomputed) recomputed.insert({line.title(), line.type});
    }
    TextTable table({{"op", Align::kLeft},
                     {"type", Align::kLeft},
                     {"calls", Align::kRight},
                     {"seconds", Align::kRight},
                     {"share", Align::kRight},
                     {"GFLOP/s", Align::kRight},
                     {"GB/s", Align::kRight},
                     {"of limit", Align::kRight}});
    Sum rest;
    for (const auto& [key, sum] : by_seconds(sums)) {
      const auto& [title, type] = key;
      if (share(sum.seconds) < kLeastShare) {
        rest.calls += sum.calls;
        rest.seconds += sum.seconds;
        continue;
      }
      // What is computed again is of no use to anyone.
      const bool useful = !recomputed.contains(key);
      table.add({title, type, calls(sum.calls), seconds(sum.seconds), share_text(sum.seconds),
                 useful ? rate(sum.flops, sum.seconds) : "", rate(sum.bytes, sum.seconds),
                 useful ? of_limit(sum, type) : ""});
    }
    if (rest.calls > 0) {
      table.add({"others", "", calls(rest.calls), seconds(rest.seconds), share_text(rest.seconds),
                 "", "", ""});
    }
    return table.text();
  }

  // "encoder.layers.3.attention" -> "encoder.layers.*.attention".
  static std::string folded(const std::string& path) {
    std::string folded;
    for (size_t begin = 0; begin <= path.size();) {
      const size_t end = std::min(path.find('.', begin), path.size());
      const std::string part = path.substr(begin, end - begin);
      const bool number = !part.empty() && std::ranges::all_of(part, [](unsigned char c) {
        return std::isdigit(c) != 0;
      });
      if (!folded.empty()) folded += '.';
      folded += number ? std::string_view("*") : std::string_view(part);
      begin = end + 1;
    }
    return folded;
  }

  std::string modules() const {
    struct OfModule {
      std::set<std::string> paths;
      int64_t calls = 0;
      double forward = 0, backward = 0, again = 0, flops = 0;
    };
    std::map<std::string, OfModule> modules;  // in the order of their paths
    for (const ProfileLine& line : totals_.lines) {
      if (!line.main || line.module.empty()) continue;
      // The module, and those that it is in.
      for (size_t end = line.module.find('.');; end = line.module.find('.', end + 1)) {
        const std::string path = line.module.substr(0, end);
        OfModule& module = modules[folded(path)];
        if (line.pass == TapePass::kBackward) {
          module.backward += line.seconds;
        } else if (line.pass == TapePass::kRecomputed) {
          module.again += line.seconds;
        } else {
          module.forward += line.seconds;
        }
        if (line.pass != TapePass::kRecomputed) module.flops += line.flops;
        if (end == std::string::npos) {
          module.paths.insert(path);
          if (line.kind == SpanKind::kModule && line.pass == TapePass::kForward) {
            module.calls += line.calls;
          }
          break;
        }
      }
    }
    TextTable table({{"module", Align::kLeft},
                     {"modules", Align::kRight},
                     {"calls", Align::kRight},
                     {"forward s", Align::kRight},
                     {"backward s", Align::kRight},
                     {"recomputed s", Align::kRight},
                     {"share", Align::kRight},
                     {"GFLOP/s", Align::kRight}});
    for (const auto& [path, module] : modules) {
      if (module.calls == 0) continue;  // "encoder.layers" is a list
      const double all = module.forward + module.backward + module.again;
      table.add({path, fmt::format("{}", module.paths.size()), calls(module.calls),
                 seconds(module.forward), seconds(module.backward), seconds(module.again),
                 share_text(all), rate(module.flops, all)});
    }
    return table.text();
  }

  std::string outside() const {
    std::map<std::string, Sum> sums;
    for (const ProfileLine& line : totals_.lines) {
      if (line.main && line.kind == SpanKind::kStage) sums[line.name].add(line);
    }
    TextTable table({{"outside of ops", Align::kLeft},
                     {"calls", Align::kRight},
                     {"seconds", Align::kRight},
                     {"share", Align::kRight}});
    for (const auto& [name, sum] : by_seconds(sums)) {
      table.add({name, calls(sum.calls), seconds(sum.seconds), share_text(sum.seconds)});
    }
    const double modules = seconds_of(SpanKind::kModule);
    table.add({"in modules, between ops", "", seconds(modules), share_text(modules)});
    const double rest = totals_.seconds * ranks_ - modules - seconds_of(SpanKind::kOp) -
                        seconds_of(SpanKind::kStage);
    table.add({"elsewhere", "", seconds(rest), share_text(rest)});
    return table.text();
  }

  // What other threads did meanwhile for themselves.
  std::string others() const {
    std::map<std::string, Sum> sums;
    for (const ProfileLine& line : totals_.lines) {
      if (!line.main && line.kind != SpanKind::kShare) sums[line.title()].add(line);
    }
    if (sums.empty()) return "";
    TextTable table(
        {{"on other threads", Align::kLeft}, {"calls", Align::kRight}, {"seconds", Align::kRight}});
    for (const auto& [name, sum] : by_seconds(sums)) {
      table.add({name, calls(sum.calls), seconds(sum.seconds)});
    }
    return fmt::format("\n{}", table.text());
  }

  template <typename Key>
  static std::vector<std::pair<Key, Sum>> by_seconds(const std::map<Key, Sum>& sums) {
    std::vector<std::pair<Key, Sum>> sorted(sums.begin(), sums.end());
    std::ranges::stable_sort(sorted, std::ranges::greater{},
                             [](const auto& entry) { return entry.second.seconds; });
    return sorted;
  }

  const ProfileTotals& totals_;
  const std::optional<MachineLimits>& limits_;
  double ranks_;
};

}  // namespace

std::string profile_tables(const ProfileTotals& totals,
                           const std::optional<MachineLimits>& limits) {
  return Tables(totals, limits).text();
}

}  // namespace heddle
