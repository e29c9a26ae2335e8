#include "framework/device/work.h"

namespace heddle {
namespace {

thread_local WorkCount* current = nullptr;

}  // namespace

WorkCount::WorkCount() : outer_(current) {
  current = this;
}

WorkCount::~WorkCount() {
  current = outer_;
}

void count_work(const Work& work) {
  if (current) current->work_ += work;
}

}  // namespace heddle
