#include "framework/device/work.h"

#include "framework/device/profile.h"

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

bool WorkCount::counts() {
  return current != nullptr;
}

void count_work(const Work& work) {
  if (current) {
    current->work_ += work;
  } else {
    profile_work(work);
  }
}

bool counts_work() {
  return WorkCount::counts() || Profile::on();
}

}  // namespace heddle
