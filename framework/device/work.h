// What the ops of a model have to do, counted while the model runs on the meta device.
//
//   WorkCount count;
//   backward(model(batch).sum, one);
//   count.work().product_flops;
#pragma once

#include <cstdint>

namespace heddle {

struct Work {
  double product_flops = 0;    // of matrix products with weights: 2 a multiply-add
  double attention_flops = 0;  // of scores, and of sums weighted by them
  double element_bytes = 0;    // written by what works element by element or row by row
  double sum_bytes = 0;        // of sums over a tensor group, on each rank
  int64_t sums = 0;            // how many of these

  Work& operator+=(const Work& other) {
    product_flops += other.product_flops;
    attention_flops += other.attention_flops;
    element_bytes += other.element_bytes;
    sum_bytes += other.sum_bytes;
    sums += other.sums;
    return *this;
  }
};

// While one is alive, on this thread, count_work() adds to it; the innermost one counts.
class WorkCount {
 public:
  WorkCount();
  ~WorkCount();
  WorkCount(const WorkCount&) = delete;
  WorkCount& operator=(const WorkCount&) = delete;

  const Work& work() const { return work_; }

 private:
  friend void count_work(const Work& work);
  Work work_;
  WorkCount* outer_;
};

// Ops call it on the meta device.
void count_work(const Work& work);

}  // namespace heddle
