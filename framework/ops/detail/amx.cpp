#include "framework/ops/detail/amx.h"

#include "framework/device/cpu_features.h"

#if defined(__x86_64__) && defined(__linux__)

#include <sys/syscall.h>
#include <unistd.h>

#include "framework/ops/detail/amx_tiles-inl.h"

namespace heddle {
namespace {

// The operand of ldtilecfg; 64 bytes.
struct alignas(64) TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

bool allowed_tiles() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool amx_available() {
  static const bool available = has_amx() && allowed_tiles();
  return available;
}

AmxTiles::AmxTiles() {
  static constexpr TileConfiguration kAllWhole;
  __asm__ volatile("sttilecfg %0" : "=m"(before_));
  __asm__ volatile("ldtilecfg %0" ::"m"(kAllWhole));
}

AmxTiles::~AmxTiles() {
  if (before_[0] == 0) {  // the palette
    __asm__ volatile("tilerelease");
  } else {
    __asm__ volatile("ldtilecfg %0" ::"m"(before_));
  }
}

void amx_product(int64_t rows, int64_t columns, int64_t depth, const AmxA& a, const AmxB& b,
                 const AmxC& c) {
  amx::product(rows, columns, depth, a, b, c);
}

}  // namespace heddle

#else

namespace heddle {

bool amx_available() {
  return false;
}

AmxTiles::AmxTiles() = default;
AmxTiles::~AmxTiles() = default;

void amx_product(int64_t, int64_t, int64_t, const AmxA&, const AmxB&, const AmxC&) {}

}  // namespace heddle

#endif
