#include "framework/ops/precision_speed.h"

#include "framework/device/cpu_features.h"
#include "framework/ops/detail/amx.h"

namespace heddle {

bool has_fast_products(Precision precision) {
  switch (precision) {
    case Precision::kF32:
      return true;
    case Precision::kBF16:
      return amx_available();
    case Precision::kInt8:
      return amx_available() || has_avx512_vnni();
  }
  return false;
}

Precision fastest_safe_precision() {
  return has_fast_products(Precision::kBF16) ? Precision::kBF16 : Precision::kF32;
}

}  // namespace heddle
