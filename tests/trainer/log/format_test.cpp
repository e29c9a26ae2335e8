#include "trainer/log/format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace heddle {
namespace {

TEST(FormatDuration, UsesTheTwoLargestUnits) {
  EXPECT_EQ(format_duration(0), "0 s");
  EXPECT_EQ(format_duration(45.4), "45 s");
  EXPECT_EQ(format_duration(59.6), "1 min 00 s");
  EXPECT_EQ(format_duration(184), "3 min 04 s");
  EXPECT_EQ(format_duration(2 * 3600 + 3 * 60 + 59), "2 h 03 min");
  EXPECT_EQ(format_duration(5 * 86400 + 7 * 3600), "5 d 07 h");
}

TEST(FormatDuration, UnknownIsAQuestionMark) {
  EXPECT_EQ(format_duration(std::nan("")), "?");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "?");
  EXPECT_EQ(format_duration(1e300), "?");
  EXPECT_EQ(format_duration(-1), "?");
}

TEST(FormatCount, GroupsThousands) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(60614), "60,614");
  EXPECT_EQ(format_count(-1234567), "-1,234,567");
  EXPECT_EQ(format_count(-100), "-100");
}

TEST(FormatNumber, HasFourDigits) {
  EXPECT_EQ(format_number(0.213449), "0.2134");
  EXPECT_EQ(format_number(12.5), "12.5");
  EXPECT_EQ(format_number(3.1e-6), "3.1e-06");
  EXPECT_EQ(format_number(std::nan("")), "n/a");
}

TEST(FormatBytes, ChoosesTheUnit) {
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(uint64_t{612} << 20), "612 MiB");
  EXPECT_EQ(format_bytes(uint64_t{3} << 29), "1.50 GiB");
}

}  // namespace
}  // namespace heddle
