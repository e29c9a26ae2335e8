// What a profile costs: passes of MiniLM's shape with and without one, in turn, and the time of a
// span by itself.
//
//   profile_overhead [pairs of passes]
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <vector>

#include "framework/autograd/record.h"
#include "framework/device/profile.h"
#include "tests/models/small_model.h"

namespace {

using namespace heddle;  // NOLINT: a program of one file

// Of this thread's processor: others may be at work on it meanwhile.
double now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double seconds_of(const std::function<void()>& run) {
  const double begun = now();
  run();
  return now() - begun;
}

constexpr int kPasses = 4;  // measured together

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<int64_t>(values.size() / 2));
  return values[values.size() / 2];
}

ClassifierConfig minilm(Precision precision) {
  ClassifierConfig config;
  config.vocabulary = 50;  // of which small_batch takes its ids
  config.hidden_size = 384;
  config.layers = 6;
  config.heads = 12;
  config.intermediate_size = 1536;
  config.max_positions = 40;
  config.token_types = 2;
  config.labels = {"a", "b"};
  config.precision = precision;
  return config;
}

void compare(const char* name, int pairs, const std::function<void()>& one_pass) {
  const auto pass = [&] {
    for (int i = 0; i < kPasses; ++i) one_pass();
  };
  pass();
  int64_t spans = 0;
  std::vector<double> plain, ratios;
  for (int i = 0; i < pairs; ++i) {
    const auto without = [&] { plain.push_back(seconds_of(pass)); };
    double with = 0;
    const auto profiled = [&] {
      const Profile profile(1 << 20);
      one_pass();  // meets all the modules and ops
      with = seconds_of(pass);
      spans = static_cast<int64_t>(profile.threads()[0].events.size()) / (kPasses + 1);
    };
    // Either one first, in turn.
    if (i % 2 == 0) without();
    profiled();
    if (i % 2 != 0) without();
    ratios.push_back(with / plain.back());
  }
  const double seconds = median(plain) / kPasses;
  fmt::print("{:<16} {:8.3f} ms, {} spans; with a profile {:+.2f} %\n", name, seconds * 1e3, spans,
             100 * (median(ratios) - 1));
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 50;
  {
    constexpr int kSpans = 1'000'000;
    const auto spans = [] {
      for (int i = 0; i < kSpans; ++i) const ProfiledSpan span("span");
    };
    const double without = seconds_of(spans);
    const Profile profile(1000);
    fmt::print("a span           {:.1f} ns with a profile, {:.1f} without\n",
               seconds_of(spans) / kSpans * 1e9, without / kSpans * 1e9);
  }
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    {
      const SmallModel small(minilm(precision));
      for (const ParameterArena::Entry& entry : small.arena.entries()) {
        entry.parameter->value = variable(entry.parameter->value);
      }
      const Batch batch = small_batch(std::vector<int>(32, 13));
      const Tensor dy = Tensor::zeros({32, 2});
      compare(precision == Precision::kF32 ? "training f32" : "training bf16", pairs, [&] {
        for (const ParameterArena::Entry& entry : small.arena.entries()) {
          variable_state(entry.parameter->value).gradient = {};
        }
        backward(small.model(batch), dy);
      });
    }
    SmallModel small(minilm(precision));
    small.model.pack();
    const Batch batch = small_batch(std::vector<int>(34, 15));
    compare(precision == Precision::kF32 ? "inference f32" : "inference bf16", pairs, [&] {
      const NoGrad no_grad;
      small.model(batch);
    });
  }
}
