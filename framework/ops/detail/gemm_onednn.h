// What differs between the oneDNN versions; only gemm_onednn*.cpp include this.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

namespace heddle::kernels {

// The description of c = a · b. Throws dnnl::error where the library has no such product.
dnnl::matmul::primitive_desc describe_matmul(const dnnl::engine& engine,
                                             const dnnl::memory::desc& a,
                                             const dnnl::memory::desc& b,
                                             const dnnl::memory::desc& c,
                                             const dnnl::primitive_attr& attributes);

}  // namespace heddle::kernels
