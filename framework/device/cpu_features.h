// What this processor can do, as far as HEDDLE_MAX_ISA allows.
//
//   HEDDLE_MAX_ISA=avx2 heddle predict …
//
// The environment variable caps the instruction sets that kernels may use: `avx2`, `avx512` (with
// what comes with it, but no tile registers) or `amx`; without it there is no cap. It is read once.
// Highway's targets are capped by it as well, when the program is loaded: kernels under `avx2` are
// those of a processor without AVX-512. oneDNN's products (ops/detail/gemm.h) are capped alike.
// Results are those of the instruction set, so all ranks of a job are to have the same cap.
#pragma once

#include <cstdint>
#include <string_view>

namespace heddle {

// In ascending order; each has what the ones before have.
enum class Isa : uint8_t { kAvx2, kAvx512, kAmx };

// The cap of a value of HEDDLE_MAX_ISA; null, as when the variable is not set, is the best. Throws
// std::invalid_argument for a value that is not one of the three.
Isa isa_from_name(const char* name);
std::string_view name_of(Isa isa);

// The cap of this process. Throws as isa_from_name() does.
Isa max_isa();

// AMX's tiles of bf16 and int8, and AVX-512 with its bf16 conversions: the processor has them, and
// the cap allows them. Whether this process may use tiles is another question (ops/detail/amx.h).
bool has_amx();

// AVX-512 with products of four 8-bit numbers at a time: the processor has them, and the cap allows
// them.
bool has_avx512_vnni();

}  // namespace heddle
