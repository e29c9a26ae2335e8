// oneDNN 3.x: the primitive's descriptor from its operands.
#include "framework/ops/detail/gemm_onednn.h"

namespace heddle::kernels {

dnnl::matmul::primitive_desc describe_matmul(const dnnl::engine& engine,
                                             const dnnl::memory::desc& a,
                                             const dnnl::memory::desc& b,
                                             const dnnl::memory::desc& c,
                                             const dnnl::primitive_attr& attributes) {
  return {engine, a, b, c, attributes};
}

}  // namespace heddle::kernels
