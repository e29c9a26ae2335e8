// Cross-entropy over a vocabulary whose logits a group shares (Shoeybi et al. 2019, Megatron-LM):
// no rank ever has a whole row of logits.
//
//   ColumnLinear head(hidden, vocabulary, group, {.units = vocabulary});
//   Loss loss = vocab_cross_entropy_sum(head(x), labels, {.vocabulary = vocabulary}, group);
//
// Each part finds the maximum m_p of its logits, the sum s_p of exp(x - m_p), and the label's logit
// if it has it. One all-reduce brings these three numbers of every part to every rank; all ranks
// then take the exact maximum m, and the sum of s_p exp(m_p - m) by the tree over parts. So the
// bits depend on group.parts() alone.
#pragma once

#include "framework/ops/losses.h"
#include "framework/parallel/parts.h"

namespace heddle {

struct VocabCrossEntropyOptions {
  int64_t vocabulary = 0;        // words of all parts together
  int32_t ignored_label = -100;  // of rows that count nothing and get no gradient
};

// logits: for each part of this rank [T, words of the part], cut as VocabEmbedding cuts its rows;
// labels i32 [T] in [0, vocabulary), or ignored_label. The sum of -log softmax(logits)[label] over
// rows that are not ignored, the same on every rank. Collective.
Loss vocab_cross_entropy_sum(const Parts& logits, const Tensor& labels,
                             const VocabCrossEntropyOptions& options, const Group& group);

namespace kernels {

// The logits of one part, and the labels.
struct VocabSlice {
  Tensor logits;      // [T, words of the part]
  int64_t begin = 0;  // the part's first word
  Tensor labels;      // i32 [T]
};

// What of a part lies in the table of all parts, f32 [T, parts, kVocabNumbers].
enum VocabNumber : uint8_t { kVocabMaximum, kVocabSum, kVocabLabel, kVocabNumbers };

// Fills part number `part` of `table`; a label that is not in the slice leaves its place as it is.
void vocab_statistics(Cpu, const VocabSlice& slice, int part, const Tensor& table);

// The loss, and in `softmax`, f32 [T, 2], each row's maximum and sum of exponentials: 0 where the
// row is ignored. Throws std::invalid_argument for a label that is no word.
double vocab_cross_entropy(Cpu, const Tensor& table, const Tensor& labels,
                           const VocabCrossEntropyOptions& options, const Tensor& softmax);

// dlogits = dy[0] (exp(logits - maximum) / sum - [label]), 0 in ignored rows.
void vocab_cross_entropy_backward(Cpu, const VocabSlice& slice, const Tensor& softmax,
                                  const Tensor& dy, const Tensor& dlogits);

}  // namespace kernels
}  // namespace heddle
