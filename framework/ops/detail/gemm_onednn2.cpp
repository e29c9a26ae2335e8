// oneDNN 2.x: an operation descriptor first, then the primitive's.
#include "framework/ops/detail/gemm_onednn.h"

namespace heddle::kernels {

dnnl::matmul::primitive_desc describe_matmul(const dnnl::engine& engine,
                                             const dnnl::memory::desc& a,
                                             const dnnl::memory::desc& b,
                                             const dnnl::memory::desc& c,
                                             const dnnl::primitive_attr& attributes) {
  return {dnnl::matmul::desc(a, b, c), attributes, engine};
}

}  // namespace heddle::kernels
