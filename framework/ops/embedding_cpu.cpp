#include "framework/ops/embedding.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "framework/autograd/leaves.h"
#include "framework/ops/detail/parallel_rows.h"

namespace heddle {
namespace {

// Tokens sorted by index, then by row.
struct Groups {
  std::vector<int32_t> index;   // the unique indices, ascending
  std::vector<int64_t> begin;   // [index.size() + 1]: group g is tokens [begin[g], begin[g + 1])
  std::vector<int64_t> tokens;  // rows of dy

  int64_t count() const { return static_cast<int64_t>(index.size()); }
};

Groups group_tokens(std::span<const int32_t> ids, int64_t excluded) {
  std::vector<uint64_t> keys;
  keys.reserve(ids.size());
  for (size_t row = 0; row < ids.size(); ++row) {
    if (ids[row] != excluded) keys.push_back(uint64_t{static_cast<uint32_t>(ids[row])} << 32 | row);
  }
  std::ranges::sort(keys);
  Groups groups;
  groups.tokens.reserve(keys.size());
  for (const uint64_t key : keys) {
    const auto id = static_cast<int32_t>(key >> 32);
    if (groups.index.empty() || groups.index.back() != id) {
      groups.index.push_back(id);
      groups.begin.push_back(static_cast<int64_t>(groups.tokens.size()));
    }
    groups.tokens.push_back(static_cast<int64_t>(key & 0xffffffffu));
  }
  groups.begin.push_back(static_cast<int64_t>(groups.tokens.size()));
  return groups;
}

// Adds rows of dy, columns [begin, end), by leaves and the tree of leaf_tree.h.
class RowSum {
 public:
  RowSum(const LeafOffsets& leaves, const Tensor& dy, int64_t begin, int64_t end)
      : leaves_(leaves),
        dy_(dy.data<float>() + begin),
        width_(dy.dim(1)),
        columns_(end - begin),
        partial_((leaves.size() - 1) * static_cast<size_t>(columns_)) {}

  void operator()(std::span<const int64_t> tokens, float* out) {
    present_.clear();
    size_t i = 0;
    for (size_t leaf = 0; leaf + 1 < leaves_.size() && i < tokens.size(); ++leaf) {
      if (tokens[i] >= leaves_[leaf + 1]) continue;
      float* sum = present_.empty() ? out : partial(present_.size());
      std::fill_n(sum, columns_, 0.0f);
      for (; i < tokens.size() && tokens[i] < leaves_[leaf + 1]; ++i) {
        add(sum, dy_ + tokens[i] * width_);
      }
      present_.push_back({static_cast<int64_t>(leaf), sum});
    }
    merge();
  }

 private:
  struct Part {
    int64_t leaf;  // after k levels: the number of the subtree of 2^k leaves
    float* sum;
  };

  float* partial(size_t i) { return partial_.data() + i * static_cast<size_t>(columns_); }

  void add(float* sum, const float* term) const {
    for (int64_t c = 0; c < columns_; ++c) sum[c] += term[c];
  }
  // What a leaf without these tokens contributes: -0 becomes +0.
  void add_absent(float* sum) const {
    for (int64_t c = 0; c < columns_; ++c) sum[c] += 0.0f;
  }

  // A level at a time: neighbours are merged, and who lacks its neighbour gets +0. The first part,
  // which is the leftmost always, lies where the sum is to be.
  void merge() {
    for (auto count = static_cast<int64_t>(leaves_.size()) - 1; count > 1;
         count = (count + 1) / 2) {
      size_t kept = 0;
      for (size_t i = 0; i < present_.size(); ++i) {
        Part part = present_[i];
        const int64_t neighbour = part.leaf ^ 1;
        if (i + 1 < present_.size() && present_[i + 1].leaf == neighbour) {
          add(part.sum, present_[++i].sum);
        } else if (neighbour < count) {
          add_absent(part.sum);
        }
        part.leaf /= 2;
        present_[kept++] = part;
      }
      present_.resize(kept);
    }
  }

  const LeafOffsets& leaves_;
  const float* dy_;
  int64_t width_, columns_;
  std::vector<float> partial_;
  std::vector<Part> present_;
};

// Writes the sum of each group g to out + row_of(g) * width. Threads share groups, or columns where
// groups are few.
template <typename RowOf>
void sum_groups(Cpu on, const Groups& groups, const Tensor& dy, float* out, RowOf&& row_of) {
  const auto leaves = leaves_of(dy.dim(0));
  const int64_t width = dy.dim(1);
  const auto tokens = static_cast<int64_t>(groups.tokens.size());
  const auto sum = [&](int64_t first, int64_t last, int64_t begin, int64_t end) {
    RowSum add(*leaves, dy, begin, end);
    for (int64_t g = first; g < last; ++g) {
      const auto at = static_cast<size_t>(groups.begin[static_cast<size_t>(g)]);
      const auto next = static_cast<size_t>(groups.begin[static_cast<size_t>(g) + 1]);
      add(std::span(groups.tokens).subspan(at, next - at), out + row_of(g) * width + begin);
    }
  };
  const int64_t count = groups.count();
  if (count == 0) return;
  if (count < 8 * on.threads()) {
    parallel_rows(on, width, tokens,
                  [&](int64_t begin, int64_t end) { sum(0, count, begin, end); });
  } else {
    parallel_rows(on, count, tokens * width / count,
                  [&](int64_t first, int64_t last) { sum(first, last, 0, width); });
  }
}

}  // namespace

namespace kernels {

void check_indices(Cpu, const Tensor& indices, int64_t rows, const char* table) {
  const auto span = indices.span<int32_t>();
  for (size_t i = 0; i < span.size(); ++i) {
    check(span[i] >= 0 && span[i] < rows,
          "[embedding] index {} at row {} is outside the {} table, which has {} rows.", span[i], i,
          table, rows);
  }
}

void embedding(Cpu on, const Tensor& table, const Tensor& ids, Tensor& y) {
  const int64_t width = table.dim(1);
  const int32_t* id = ids.data<int32_t>();
  parallel_rows(on, ids.dim(0), width, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      std::copy_n(table.data<float>() + id[row] * width, width, y.data<float>() + row * width);
    }
  });
}

void embedding_sum(Cpu on, const EmbeddingTables& tables, const Tensor& ids,
                   const Tensor& positions, const Tensor& types, Tensor& y) {
  const int64_t width = y.dim(1);
  const auto row_of = [width](const Tensor& table, const Tensor& index, int64_t row) {
    return table.data<float>() + index.data<int32_t>()[row] * width;
  };
  parallel_rows(on, y.dim(0), 3 * width, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* word = row_of(tables.word, ids, row);
      const float* position = row_of(tables.position, positions, row);
      float* to = y.data<float>() + row * width;
      if (tables.type.defined()) {
        const float* type = row_of(tables.type, types, row);
        for (int64_t c = 0; c < width; ++c) to[c] = (word[c] + type[c]) + position[c];
      } else {
        for (int64_t c = 0; c < width; ++c) to[c] = word[c] + position[c];
      }
    }
  });
}

Gradient embedding_backward(Cpu on, const Tensor& ids, const Tensor& dy, int padding_row) {
  const Groups groups = group_tokens(ids.span<int32_t>(), padding_row);
  Tensor rows = Tensor::from<int32_t>(groups.index, {groups.count()}, ids.device());
  Tensor values = Tensor::empty({groups.count(), dy.dim(1)}, DType::kF32, dy.device());
  if (groups.count() > 0) {
    sum_groups(on, groups, dy, values.data<float>(), [](int64_t g) { return g; });
  }
  return {rows, values};
}

void embedding_backward_dense(Cpu on, const Tensor& ids, const Tensor& dy, Tensor& dtable) {
  const Groups groups = group_tokens(ids.span<int32_t>(), -1);
  dtable.fill(0);
  sum_groups(on, groups, dy, dtable.data<float>(),
             [&](int64_t g) { return groups.index[static_cast<size_t>(g)]; });
}

}  // namespace kernels
}  // namespace heddle
