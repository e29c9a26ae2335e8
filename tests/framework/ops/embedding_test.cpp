#include "framework/ops/embedding.h"

#include <gtest/gtest.h>

#include "framework/autograd/leaves.h"
#include "tests/support/expect_throw.h"
#include "tests/support/gradient_check.h"

namespace heddle {
namespace {

const std::vector<int32_t> kIds = {3, 1, 3, 0, 6, 1, 3, 5};

TEST(Embedding, TakesRows) {
  const Tensor table = random_tensor({7, 5}, "table");
  const Tensor y = embedding(table, tensor_of(kIds));
  ASSERT_EQ(y.shape(), (Shape{8, 5}));
  for (int64_t row = 0; row < 8; ++row) {
    const int32_t id = kIds[static_cast<size_t>(row)];
    EXPECT_TRUE(same_bits(y.rows(row, row + 1), table.rows(id, id + 1)));
  }
}

TEST(Embedding, GradientIsRowSparseAndSorted) {
  const Tensor table = variable(random_tensor({7, 5}, "table"));
  backward(embedding(table, tensor_of(kIds), 1), random_tensor({8, 5}, "dy"));
  const Gradient& g = variable_state(table).gradient;
  ASSERT_TRUE(g.sparse());
  const auto rows = g.rows.span<int32_t>();
  EXPECT_EQ(std::vector<int32_t>(rows.begin(), rows.end()), (std::vector<int32_t>{0, 3, 5, 6}));
  EXPECT_EQ(g.values.shape(), (Shape{4, 5}));
}

TEST(Embedding, GradientsEqualFiniteDifferences) {
  check_gradients({random_tensor({7, 5}, "table")},
                  [](const std::vector<Tensor>& in) { return embedding(in[0], tensor_of(kIds)); });
}

TEST(Embedding, OnlyPaddingGivesNoRows) {
  const Tensor table = variable(random_tensor({7, 5}, "table"));
  backward(embedding(table, tensor_of<int32_t>({2, 2}), 2), random_tensor({2, 5}, "dy"));
  EXPECT_EQ(variable_state(table).gradient.rows.numel(), 0);
}

TEST(EmbeddingSum, AddsWordTypeAndPosition) {
  const Tensor word = random_tensor({7, 6}, "word"), position = random_tensor({4, 6}, "position"),
               type = random_tensor({2, 6}, "type");
  const std::vector<int32_t> positions = {0, 1, 2, 0, 1, 0, 1, 2}, types = {0, 1, 1, 0, 0, 0, 1, 1};
  const auto run = [&](const std::vector<Tensor>& in) {
    return embedding_sum({.word = in[0], .position = in[1], .type = in[2]}, tensor_of(kIds),
                         tensor_of(positions), tensor_of(types));
  };
  const Tensor y = run({word, position, type});
  for (size_t row = 0; row < 8; ++row) {
    for (int64_t c = 0; c < 6; ++c) {
      EXPECT_EQ(y.data<float>()[static_cast<int64_t>(row) * 6 + c],
                (word.data<float>()[kIds[row] * 6 + c] + type.data<float>()[types[row] * 6 + c]) +
                    position.data<float>()[positions[row] * 6 + c]);
    }
  }
  check_gradients({word, position, type}, run);
  EXPECT_EQ(
      embedding_sum({.word = word, .position = position}, tensor_of(kIds), tensor_of(positions), {})
          .shape(),
      (Shape{8, 6}));
}

// Gradients of the rows [begin, end) of one fixed batch.
std::vector<Tensor> table_gradients(int64_t begin, int64_t end, const LeafOffsets& leaves) {
  std::vector<int32_t> ids, positions;
  for (int32_t i = 0; i < 64; ++i) {
    ids.push_back(i * i % 23);
    positions.push_back(i % 9);
  }
  const LeafScope scope({leaves});
  const Tensor word = variable(random_tensor({30, 12}, "word"));
  const Tensor position = variable(random_tensor({10, 12}, "position"));
  backward(embedding_sum({.word = word, .position = position}, tensor_of(ids).rows(begin, end),
                         tensor_of(positions).rows(begin, end), {}),
           random_tensor({64, 12}, "dy").rows(begin, end));
  return {dense_gradient(word), dense_gradient(position)};
}

Tensor sum(const Tensor& a, const Tensor& b) {
  Tensor y = Tensor::empty_like(a);
  for (int64_t i = 0; i < y.numel(); ++i)
    y.data<float>()[i] = a.data<float>()[i] + b.data<float>()[i];
  return y;
}

TEST(EmbeddingSum, LeavesEqualTheTreeOfCalls) {
  const LeafOffsets leaves = {0, 10, 11, 11, 30, 41, 64, 64, 64};
  for (const size_t count : {8u, 6u, 3u}) {
    const LeafOffsets used(leaves.begin(), leaves.begin() + static_cast<std::ptrdiff_t>(count) + 1);
    const auto together = table_gradients(0, used.back(), used);
    for (size_t which = 0; which < 2; ++which) {
      std::vector<Tensor> parts;
      for (size_t leaf = 0; leaf < count; ++leaf) {
        const int64_t begin = used[leaf], end = used[leaf + 1];
        parts.push_back(begin == end ? Tensor::zeros_like(together[which])
                                     : table_gradients(begin, end, {0, end - begin})[which]);
      }
      while (parts.size() > 1) {
        std::vector<Tensor> merged;
        for (size_t i = 0; i < parts.size(); i += 2) {
          merged.push_back(i + 1 < parts.size() ? sum(parts[i], parts[i + 1]) : parts[i]);
        }
        parts = merged;
      }
      EXPECT_TRUE(same_bits(together[which], parts[0])) << count << " leaves, table " << which;
    }
  }
}

TEST(EmbeddingSum, ThreadsDoNotChangeBits) {
  std::vector<int32_t> ids, types;
  for (int32_t i = 0; i < 900; ++i) {
    ids.push_back(i * 31 % 211);
    types.push_back(i / 500);
  }
  expect_same_bits_on_any_threads([&](const Device& device) {
    const Tensor word = variable(random_tensor({300, 50}, "word", -1, 1, device));
    const Tensor position = variable(random_tensor({2, 50}, "position", -1, 1, device));
    const LeafScope scope({{0, 100, 300, 300, 900}});
    const Tensor y = embedding_sum({.word = word, .position = position}, tensor_of(ids, device),
                                   tensor_of(types, device), {});
    backward(y, random_tensor(y.shape(), "dy", -1, 1, device));
    return std::vector<Tensor>{y.detach(), variable_state(word).gradient.values,
                               dense_gradient(position)};
  });
}

TEST(Embedding, MistakesAreNamed) {
  const Tensor table = Tensor::zeros({7, 5});
  EXPECT_INVALID(embedding(table, tensor_of<int32_t>({0, 7})),
                 "index 7 at row 1 is outside the word table, which has 7 rows");
  EXPECT_INVALID(embedding(table, tensor_of<int32_t>({-1})), "index -1 at row 0");
  EXPECT_INVALID(embedding(Tensor::zeros({7}), tensor_of(kIds)), "the word table has shape [7]");
  EXPECT_INVALID(embedding(table, Tensor::zeros({3})), "indices of the word table are f32 [3]");
  const Tensor ids = tensor_of<int32_t>({0, 1});
  EXPECT_INVALID(embedding_sum({.word = table, .position = Tensor::zeros({2, 4})}, ids, ids, {}),
                 "Expected the same width");
  EXPECT_INVALID(embedding_sum({.word = table, .position = table}, ids, ids.rows(0, 1), {}),
                 "2 ids, 1 positions");
  EXPECT_INVALID(embedding_sum({.word = table, .position = Tensor::zeros({1, 5})}, ids, ids, {}),
                 "index 1 at row 1 is outside the position table, which has 1 rows");
}

TEST(AddEmbeddings, IsTheRestOfEmbeddingSum) {
  const Tensor ids = tensor_of<int32_t>({3, 1, 3}), positions = tensor_of<int32_t>({0, 1, 2});
  const Tensor types = tensor_of<int32_t>({0, 1, 1});
  const auto run = [&](bool apart) {
    const Tensor word = variable(random_tensor({5, 4}, "word"));
    const Tensor position = variable(random_tensor({3, 4}, "position"));
    const Tensor type = variable(random_tensor({2, 4}, "type"));
    const Tensor y = apart ? add_embeddings(embedding(word, ids), position, positions, type, types)
                           : embedding_sum({.word = word, .position = position, .type = type}, ids,
                                           positions, types);
    backward(y, random_tensor(y.shape(), "dy"));
    return std::vector<Tensor>{y.detach(), dense_gradient(word), dense_gradient(position),
                               dense_gradient(type)};
  };
  const std::vector<Tensor> together = run(false), apart = run(true);
  for (size_t i = 0; i < apart.size(); ++i) EXPECT_TRUE(same_bits(together[i], apart[i])) << i;
  EXPECT_INVALID(add_embeddings(Tensor::zeros({3, 5}), Tensor::zeros({3, 4}), positions, {}, {}),
                 "x of shape [3, 5] for 3 positions of width 4");
}

}  // namespace
}  // namespace heddle
