#include "framework/device/cpu_features.h"

#include <hwy/targets.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace heddle {
namespace {

constexpr std::pair<std::string_view, Isa> kNames[] = {
    {"avx2", Isa::kAvx2}, {"avx512", Isa::kAvx512}, {"amx", Isa::kAmx}};

const char* variable() {
  return std::getenv("HEDDLE_MAX_ISA");
}

// Highway chooses when the first kernel is called, which may be before anybody asks here. Better
// targets have lower bits. Of an unknown value max_isa() will tell.
[[maybe_unused]] const bool highway_is_capped = [] {
  const bool capped = variable() != nullptr && std::string_view(variable()) == "avx2";
#if HWY_ARCH_X86
  if (capped) hwy::DisableTargets(HWY_AVX2 - 1);
#endif
  return capped;
}();

#if defined(__x86_64__)

constexpr bool has_bits(uint64_t word, uint64_t bits) {
  return (word & bits) == bits;
}

// The parts of a thread's state that the system saves (XCR0).
uint64_t saved_state() {
  uint32_t low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

struct Leaf {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// Leaf 7 of cpuid where the processor has AVX-512 and the system saves `state`; else zeros.
Leaf avx512_leaf(uint64_t state) {
  constexpr uint32_t kXsaveInUse = 1u << 27;                               // 1: ecx
  constexpr uint32_t kAvx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // 7: ebx, F DQ BW VL
  Leaf leaf;
  if (!__get_cpuid(1, &leaf.eax, &leaf.ebx, &leaf.ecx, &leaf.edx)) return {};
  if (!has_bits(leaf.ecx, kXsaveInUse) || !has_bits(saved_state(), state)) return {};
  if (!__get_cpuid_count(7, 0, &leaf.eax, &leaf.ebx, &leaf.ecx, &leaf.edx)) return {};
  return has_bits(leaf.ebx, kAvx512) ? leaf : Leaf();
}

constexpr uint64_t kAvx512State = 1u << 1 | 1u << 2 | 7u << 5;  // SSE AVX AVX-512
constexpr uint64_t kAmxState = 3u << 17;

bool processor_has_amx() {
  constexpr uint32_t kAmx = 1u << 22 | 1u << 24 | 1u << 25;  // 7: edx, BF16 TILE INT8
  constexpr uint32_t kAvx512Bf16 = 1u << 5;                  // 7.1: eax
  Leaf leaf = avx512_leaf(kAvx512State | kAmxState);
  if (!has_bits(leaf.edx, kAmx) || leaf.eax < 1) return false;
  return __get_cpuid_count(7, 1, &leaf.eax, &leaf.ebx, &leaf.ecx, &leaf.edx) &&
         has_bits(leaf.eax, kAvx512Bf16);
}

bool processor_has_avx512_vnni() {
  constexpr uint32_t kVnni = 1u << 11;  // 7: ecx
  return has_bits(avx512_leaf(kAvx512State).ecx, kVnni);
}

#else

bool processor_has_amx() {
  return false;
}

bool processor_has_avx512_vnni() {
  return false;
}

#endif

}  // namespace

std::string_view name_of(Isa isa) {
  for (const auto& [name, named] : kNames) {
    if (named == isa) return name;
  }
  return "";
}

Isa isa_from_name(const char* name) {
  if (name == nullptr) return Isa::kAmx;
  for (const auto& [known, isa] : kNames) {
    if (known == name) return isa;
  }
  throw std::invalid_argument("HEDDLE_MAX_ISA is '" + std::string(name) +
                              "'. Expected avx2, avx512 or amx.");
}

Isa max_isa() {
  static const Isa isa = isa_from_name(variable());
  return isa;
}

bool has_amx() {
  static const bool processor_has = processor_has_amx();
  return max_isa() >= Isa::kAmx && processor_has;
}

bool has_avx512_vnni() {
  static const bool processor_has = processor_has_avx512_vnni();
  return max_isa() >= Isa::kAvx512 && processor_has;
}

}  // namespace heddle
