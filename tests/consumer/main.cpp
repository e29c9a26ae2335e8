// consumer MODEL TEXT: tokenizes a text and runs a model on it.
#include <fmt/format.h>

#include <exception>
#include <string>
#include <vector>

#include "framework/autograd/record.h"
#include "trainer/served_model.h"

int main(int argc, char** argv) try {
  if (argc != 3) return 64;
  heddle::PosixFileSystem files;
  const auto served = heddle::load_served_model(files, argv[1]);
  const std::vector<std::string> texts = {argv[2]};
  const heddle::NoGrad no_grad;
  const heddle::Tensor logits = served->model(served->batch(texts));  // [1, labels]
  fmt::print("{} tokens, {} labels, first logit {:.4f}\n",
             served->tokenizer->encode(texts[0])[0].ids.size(), logits.shape()[1],
             logits.span<const float>()[0]);
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "consumer: {}\n", error.what());
  return 1;
}
