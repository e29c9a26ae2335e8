#include "framework/core/nearest_name.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace heddle {
namespace {

const std::vector<std::string> kKnown = {"learning_rate", "epochs", "batch", "seed"};

TEST(NearestName, FindsTyposAndSwaps) {
  EXPECT_EQ(nearest_name("learing_rate", kKnown), "learning_rate");
  EXPECT_EQ(nearest_name("epcohs", kKnown), "epochs");
  EXPECT_EQ(nearest_name("sead", kKnown), "seed");
}

TEST(NearestName, IsEmptyWhereNothingIsNear) {
  EXPECT_EQ(nearest_name("zzzzzz", kKnown), "");
  EXPECT_EQ(nearest_name("epochs", {}), "");
}

TEST(DidYouMean, NamesTheNearestOrAll) {
  EXPECT_EQ(did_you_mean("epoch", kKnown), "did you mean 'epochs'?");
  EXPECT_EQ(did_you_mean("zzzzzz", kKnown), "known: learning_rate, epochs, batch, seed");
  EXPECT_EQ(did_you_mean("epoch", {}), "");
}

}  // namespace
}  // namespace heddle
