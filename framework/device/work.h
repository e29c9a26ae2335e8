// What the ops of a model have to do, counted while the model runs: on the meta device for a plan,
// on others for a profile (profile.h).
//
//   WorkCount count;
//   backward(model(batch).sum, one);
//   count.work().product_flops;
#pragma once

#include <cstdint>

namespace heddle {

struct Work {
  double product_flops = 0;    // of matrix products with weights: 2 a multiply-add
  double weights = 0;          // elements of the weights of these products
  double attention_flops = 0;  // of scores, and of sums weighted by them
  double element_bytes = 0;    // written by what works element by element or row by row
  double sum_bytes = 0;        // of sums over a tensor group, on each rank
  int64_t sums = 0;            // how many of these
  double moved_bytes = 0;      // read and written, each tensor once

  Work& operator+=(const Work& other) {
    product_flops += other.product_flops;
    weights += other.weights;
    attention_flops += other.attention_flops;
    element_bytes += other.element_bytes;
    sum_bytes += other.sum_bytes;
    sums += other.sums;
    moved_bytes += other.moved_bytes;
    return *this;
  }
};

// While one is alive, on this thread, count_work() adds to it, the innermost one, and nothing is
// profiled.
class WorkCount {
 public:
  WorkCount();
  ~WorkCount();
  WorkCount(const WorkCount&) = delete;
  WorkCount& operator=(const WorkCount&) = delete;

  const Work& work() const { return work_; }
  // Whether one is alive on this thread.
  static bool counts();

 private:
  friend void count_work(const Work& work);
  Work work_;
  WorkCount* outer_;
};

// Ops call it, on every device. Else than by a WorkCount it is added to the innermost span of a
// profile.
void count_work(const Work& work);
// Whether anybody counts: asked where counting takes a loop.
bool counts_work();

}  // namespace heddle
