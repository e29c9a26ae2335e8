// Matrix products on AMX's tiles: bf16 times bf16, summed in f32. Tile instructions are in
// amx_tiles-inl.h alone, which also has those of int8.
//
//   if (amx_available()) {
//     const AmxTiles tiles;                       // this thread's, until the end of the scope
//     amx_product(32, 64, 128, a, b, c);          // C [32, 64] = A [32, 128] B [128, 64]
//   }
//
// A tile is 16 rows of 64 bytes: 16 x 32 of A, 16 x 16 of C, and of B 32 x 16 with pairs of rows
// interleaved. Each element of C is one chain of multiply-adds in the order of k, two at a time,
// whatever the rows, columns and panels beside it hold. Denormals count as zero.
#pragma once

#include <cstdint>

#include "framework/core/dtype.h"

namespace heddle {

constexpr int64_t kAmxRows = 16;     // of A and of C
constexpr int64_t kAmxColumns = 16;  // of B and of C
constexpr int64_t kAmxDepth = 32;    // of A and of B
constexpr int64_t kAmxTile = 512;    // elements of a tile of A or B
constexpr int64_t kAmxRowBytes = 64;
constexpr int64_t kAmxTileBytes = 1024;

// True where has_amx() (device/cpu_features.h) and the system lets this process use tiles; it
// is asked once.
bool amx_available();

// While one is alive, this thread's tile registers are set up for amx_product(); afterwards as they
// were before, without their contents. oneDNN remembers how it set them up: it may be called before
// and after, not meanwhile. Costs some 50 ns: one for many products.
class AmxTiles {
 public:
  AmxTiles();
  ~AmxTiles();
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

 private:
  alignas(64) uint8_t before_[64] = {};  // how tile registers were set up; zeros: not at all
};

// A [M, K]: element (m, k) is data[m * stride + k]. Aligned to 64 bytes it is read faster.
struct AmxA {
  const BFloat16* data;
  int64_t stride;
};

// B [K, N] in tiles: element (k, n) is
//   data[n / 16 * panel + k / 32 * step + k % 32 / 2 * 32 + n % 16 * 2 + k % 2].
struct AmxB {
  const BFloat16* data;
  int64_t panel;
  int64_t step = kAmxTile;
};

// C [M, N]: element (m, n) is data[m * stride + n]. `accumulate` continues C's chains.
struct AmxC {
  float* data;
  int64_t stride;
  bool accumulate = false;
};

// C = A B. Rows and columns are multiples of 16, the depth of 32; all of it is read and written.
void amx_product(int64_t rows, int64_t columns, int64_t depth, const AmxA& a, const AmxB& b,
                 const AmxC& c);

}  // namespace heddle
