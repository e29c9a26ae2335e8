#include "trainer/config/values.h"

#include <gtest/gtest.h>

namespace heddle {
namespace {

TEST(Numbers, LeadingZerosSignsAndNamesAreNoNumbers) {
  EXPECT_EQ(parse_integer("0"), 0);
  EXPECT_EQ(parse_integer("-12"), -12);
  for (const char* text :
       {"010", "-01", "+1", "1.0", "1e3", "0x10", "", " 1", "9223372036854775808"}) {
    EXPECT_FALSE(parse_integer(text)) << text;
  }
  EXPECT_EQ(parse_number("5e-5"), 5e-5);
  EXPECT_EQ(parse_number("0.5"), 0.5);
  for (const char* text :
       {"010", "00.5", "inf", "nan", ".nan", "1e999", "+1", "1,5", "0x1p3", ""}) {
    EXPECT_FALSE(parse_number(text)) << text;
  }
}

TEST(Numbers, TextIsShortAndReadsBack) {
  EXPECT_EQ(number_text(5e-5), "5e-5");
  EXPECT_EQ(number_text(1e-12), "1e-12");
  EXPECT_EQ(number_text(1e22), "1e22");
  EXPECT_EQ(number_text(3.0), "3");
  EXPECT_EQ(number_text(0.1), "0.1");
  for (const double value : {1.0 / 3, 2e-308, 1.7976931348623157e308, -0.1, 1e16}) {
    EXPECT_EQ(parse_number(number_text(value)), value);
  }
}

TEST(StepsOrShare, ASharesStepsAreRoundedUp) {
  const auto six = StepsOrShare::parse("6%");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->of(1895), 114);  // 113.7
  EXPECT_EQ(six->of(100), 6);
  EXPECT_EQ(StepsOrShare::parse("7%")->of(100), 7);  // 0.07 * 100 is above 7
  EXPECT_EQ(StepsOrShare::parse("100%")->of(3), 3);
  EXPECT_EQ(six->of(0), 0);
}

TEST(StepsOrShare, StepsAreCappedAtTheRun) {
  EXPECT_EQ(StepsOrShare::parse("200")->of(1000), 200);
  EXPECT_EQ(StepsOrShare::parse("200 steps")->of(50), 50);
  EXPECT_EQ(StepsOrShare::parse("0")->of(50), 0);
}

TEST(StepsOrShare, OtherTextIsRefused) {
  for (const char* text : {"-1", "101%", "-1%", "six", "%", "0.06", "6 %%", ""}) {
    EXPECT_FALSE(StepsOrShare::parse(text)) << text;
  }
}

TEST(Every, StepsEpochsAndNever) {
  EXPECT_EQ(Every::parse("500")->in_steps(100), 500);
  EXPECT_EQ(Every::parse("1 epoch")->in_steps(100), 100);
  EXPECT_EQ(Every::parse("2 epochs")->in_steps(100), 200);
  EXPECT_EQ(Every::parse("0.5 epochs")->in_steps(101), 51);
  EXPECT_EQ(Every::parse("0.001 epochs")->in_steps(100), 1);
  EXPECT_EQ(Every::parse("never")->in_steps(100), 0);
  for (const char* text : {"0", "-5", "0 epochs", "always", "epoch", ""}) {
    EXPECT_FALSE(Every::parse(text)) << text;
  }
}

TEST(Duration, UnitsAreRequired) {
  EXPECT_EQ(Duration::parse("300 s")->seconds, 300);
  EXPECT_EQ(Duration::parse("5 min")->seconds, 300);
  EXPECT_EQ(Duration::parse("1.5 h")->seconds, 5400);
  EXPECT_EQ(Duration::parse("250ms")->seconds, 0.25);
  for (const char* text : {"300", "-1 s", "s", "5 m", "5 days"}) {
    EXPECT_FALSE(Duration::parse(text)) << text;
  }
}

template <class T>
void expect_round_trip(const char* text) {
  const auto value = T::parse(text);
  ASSERT_TRUE(value) << text;
  EXPECT_EQ(T::parse(value->text()), value) << value->text();
}

TEST(Values, TextReadsBack) {
  for (const char* text : {"6%", "0.1%", "0", "200", "33.333333333%"}) {
    expect_round_trip<StepsOrShare>(text);
  }
  for (const char* text : {"1 epoch", "0.25 epochs", "never", "7"}) expect_round_trip<Every>(text);
  for (const char* text : {"0.1 ms", "7 min", "1 h", "0 s"}) expect_round_trip<Duration>(text);
}

}  // namespace
}  // namespace heddle
