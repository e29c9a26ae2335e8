#include "trainer/log/plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace heddle {
namespace {

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(NiceTicks, AreRoundAndInside) {
  EXPECT_EQ(nice_ticks(0, 1, 5), (std::vector<double>{0, 0.2, 0.4, 0.2 * 3, 0.8, 1}));
  EXPECT_EQ(nice_ticks(1, 1200, 6), (std::vector<double>{200, 400, 600, 800, 1000, 1200}));
  EXPECT_EQ(nice_ticks(-7, 12, 4), (std::vector<double>{-5, 0, 5, 10}));
  EXPECT_EQ(nice_ticks(3, 3, 4), (std::vector<double>{3}));
}

TEST(Thinned, KeepsTheMeanAndSkipsWhatIsNotFinite) {
  const std::vector<Point> points{{1, 2}, {2, 4}, {3, std::nan("")}, {4, 8}};
  const std::vector<Point> thin = thinned(points, 2);
  ASSERT_EQ(thin.size(), 2u);
  EXPECT_EQ(thin[0].x, 1.5);
  EXPECT_EQ(thin[0].y, 3);
  EXPECT_EQ(thin[1].y, 8);
  EXPECT_EQ(thinned(points, 9).size(), 4u);
}

TEST(Smoothed, IsACentredMeanThatEndsWhereTheDataEnd) {
  const std::vector<Point> points{{1, 1}, {2, 5}, {3, 3}, {4, std::nan("")}, {5, 1}, {6, 2}};
  const std::vector<Point> smooth = smoothed(points, 1);
  ASSERT_EQ(smooth.size(), 5u);
  EXPECT_EQ(smooth[0].y, 1);
  EXPECT_EQ(smooth[1].y, 3);
  EXPECT_EQ(smooth[2].y, 3);
  EXPECT_EQ(smooth[3].y, 2);
  EXPECT_EQ(smooth[4].y, 2);
  EXPECT_EQ(smooth[4].x, 6);
}

TEST(PlotSvg, GapInterruptsTheLine) {
  const std::vector<Point> points{{1, 1}, {2, 2}, {3, std::nan("")}, {4, 1}, {5, 2}};
  const std::string svg = plot_svg({.title = "loss", .series = {{.points = points}}});
  const size_t path = svg.find(" d=\"");
  const std::string d = svg.substr(path, svg.find("\"/>", path) - path);
  EXPECT_EQ(count_of(d, "M"), 2u) << d;
  EXPECT_EQ(count_of(d, "L"), 2u) << d;
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(PlotSvg, HoverTellsStepAndValue) {
  const std::string svg =
      plot_svg({.title = "loss", .series = {{.label = "train", .points = {{1200, 0.25}}}}});
  EXPECT_NE(svg.find("<title>step 1,200: train 0.25</title>"), std::string::npos) << svg;
}

TEST(PlotSvg, BestIsMarkedOnceAndNamed) {
  const std::string svg = plot_svg({.title = "f1",
                                    .series = {{.dots = true, .points = {{1, 0.5}, {2, 0.7}}}},
                                    .best = Point{2, 0.7}});
  EXPECT_EQ(count_of(svg, "<circle class=\"best\""), 1u);
  EXPECT_NE(svg.find(">best 0.7 at 2</text>"), std::string::npos) << svg;
}

TEST(PlotSvg, LongCurvesAreThinned) {
  std::vector<Point> points;
  for (int i = 0; i < 100000; ++i) {
    points.push_back({static_cast<double>(i), std::sin(i * 1e-4)});
  }
  EXPECT_LT(plot_svg({.title = "long", .series = {{.points = points}}}).size(), 40000u);
}

TEST(PlotSvg, NothingFiniteSaysSo) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_NE(plot_svg({.title = "none"}).find("no data"), std::string::npos);
  EXPECT_NE(plot_svg({.title = "none", .series = {{.points = {{1, infinity}}}}}).find("no data"),
            std::string::npos);
}

TEST(PlotSvg, ConstantCurveHasAnAxis) {
  const std::string svg = plot_svg({.title = "lr", .series = {{.points = {{1, 5e-5}, {2, 5e-5}}}}});
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
  EXPECT_NE(svg.find(">4e-5</text>"), std::string::npos) << svg;
}

TEST(PlotSvg, NamesAreEscaped) {
  const std::string svg =
      plot_svg({.title = "<b>", .series = {{.label = "a&b", .points = {{1, 1}}}}});
  EXPECT_EQ(svg.find("<b>"), std::string::npos);
  EXPECT_EQ(svg.find("a&b"), std::string::npos);
}

}  // namespace
}  // namespace heddle
