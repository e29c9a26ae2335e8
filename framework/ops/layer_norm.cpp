#include "framework/ops/layer_norm.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "framework/device/profile.h"
#include "framework/ops/detail/bytes_of.h"

namespace heddle {
namespace {

using kernels::LayerNormGradients;
using kernels::LayerNormSaved;

// What is written for so many tensors like x, and what is moved.
void count_elements(const Tensor& x, int tensors, double moved_bytes) {
  count_work(
      {.element_bytes = static_cast<double>(x.bytes()) * tensors, .moved_bytes = moved_bytes});
}

// dgamma and dbeta of this rank's `rows` rows and of those of the others that share them. Calls
// sum(runs, sums) for this rank's runs, which are added up there.
template <typename Sum>
void sum_over_rows(int64_t rows, const RowShare* share, const Tensor& dgamma, const Tensor& dbeta,
                   Sum&& sum) {
  const auto leaves = leaves_of(share ? share->whole() : rows);
  const std::vector<RowRun> runs = row_runs(*leaves);
  const Tensor sums = Tensor::zeros({static_cast<int64_t>(runs.size()), 2 * dgamma.numel()},
                                    DType::kF32, dgamma.device());
  if (!share) {
    sum(std::span(runs), sums);
  } else {
    std::vector<int64_t> offsets;  // of the ranks' runs
    for (const int64_t row : share->offsets) {
      offsets.push_back(std::ranges::lower_bound(runs, row, {}, &RowRun::begin) - runs.begin());
    }
    const int64_t begin = offsets[static_cast<size_t>(share->rank)];
    const int64_t end = offsets[static_cast<size_t>(share->rank) + 1];
    sum(std::span(runs).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
        sums.rows(begin, end));
    share->all_gather(sums, offsets, "sums of a layer norm");
  }
  on_device(dgamma.device(),
            [&](auto on) { kernels::layer_norm_merge(on, *leaves, sums, dgamma, dbeta); });
}

// `residual` may be undefined.
Tensor normalise(const Tensor& x, const Tensor& residual, const LayerNormParameters& norm,
                 const Dropout& dropout, const char* op) {
  check(x.ndim() == 2, "[{}] x has shape {}. Expected [rows, H].", op, x.shape());
  const Shape width{x.dim(1)};
  check(norm.gamma.defined() && norm.gamma.shape() == width && norm.beta.defined() &&
            norm.beta.shape() == width,
        "[{}] gamma and beta for x of shape {}. Expected {} each.", op, x.shape(), width);
  check(!residual.defined() || (residual.shape() == x.shape() && residual.dtype() == x.dtype()),
        "[{}] residual has shape {}, x {}. Expected the same, of one type.", op, residual.shape(),
        x.shape());
  check(!norm.share || norm.share->size() == x.dim(0), "[{}] {} rows of a share of {}.", op,
        x.dim(0), norm.share ? norm.share->size() : 0);
  check_dropout(dropout, x.dim(0), op);

  const ProfiledSpan span("layer_norm", name_of(x.dtype()));
  const bool plain = !residual.defined() && !dropout.active();
  const bool saves = needs_gradient({x, residual, norm.gamma, norm.beta});
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  LayerNormSaved saved;
  if (saves) {
    saved.z = plain ? x.detach() : Tensor::empty_like(x);
    saved.statistics = Tensor::empty({x.dim(0), 2}, DType::kF32, x.device());
  }
  on_device(x.device(),
            [&](auto on) { kernels::layer_norm(on, x, residual, norm, dropout, saved, y); });

  const bool writes_z = saves && !plain;
  count_elements(x, writes_z ? 2 : 1,
                 bytes_of(x, residual, y) + (writes_z ? bytes_of(saved.z) : 0));

  const bool wants_x = x.node() != nullptr;
  const bool wants_residual = residual.node() != nullptr;
  const bool wants_parameters = norm.gamma.node() || norm.beta.node();
  return record(
      y, {x, residual, norm.gamma, norm.beta},
      [saved, norm, dropout, wants_x, wants_residual, wants_parameters](const Tensor& dy) {
        const ProfiledSpan span("layer_norm", name_of(dy.dtype()));
        LayerNormGradients g;
        if (wants_x) g.dx = Tensor::empty_like(dy);
        // Without dropout both are the same tensor.
        if (wants_residual)
          g.dresidual = wants_x && !dropout.active() ? g.dx : Tensor::empty_like(dy);
        const auto run = [&](std::span<const RowRun> runs, const Tensor& sums) {
          g.sums = sums;
          on_device(dy.device(), [&](auto on) {
            kernels::layer_norm_backward(on, dy, saved, norm, dropout, runs, g);
          });
        };
        Gradients gradients{g.dx, g.dresidual, {}, {}};
        if (wants_parameters) {
          gradients[2] = gradient_like(norm.gamma);
          gradients[3] = gradient_like(norm.beta);
          sum_over_rows(dy.dim(0), norm.share.get(), gradients[2].values, gradients[3].values, run);
        } else {
          run({}, {});
        }
        count_elements(
            dy, dropout.active() ? 2 : 1,
            bytes_of(dy, saved.z, g.dx) + (dropout.active() ? bytes_of(g.dresidual) : 0));
        return gradients;
      });
}

}  // namespace

Tensor layer_norm(const Tensor& x, const LayerNormParameters& norm) {
  return normalise(x, {}, norm, {}, "layer_norm");
}

Tensor dropout_add_layer_norm(const Tensor& x, const Tensor& residual,
                              const LayerNormParameters& norm, const Dropout& dropout) {
  check(residual.defined(), "[dropout_add_layer_norm] there is no residual.");
  return normalise(x, residual, norm, dropout, "dropout_add_layer_norm");
}

}  // namespace heddle
