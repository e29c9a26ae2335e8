// Line plots as SVG to stand inside an HTML page, whose style sheet (report_style.h) colours them.
//
//   const Series train{.label = "train", .points = points};
//   std::string svg = plot_svg({.title = "Loss", .series = {train}});
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace heddle {

struct Point {
  double x = 0;
  double y = 0;
};

enum class SeriesStyle { kLine, kFaintLine, kDashedLine };

struct Series {
  std::string label = {};
  SeriesStyle style = SeriesStyle::kLine;
  int color = 1;  // 1 or 2
  bool dots = false;
  bool hover = true;  // points tell their values under the mouse
  std::vector<Point> points = {};
};

struct Plot {
  std::string title = {};
  std::string x_name = "step";
  int width = 520;  // of the coordinates; the page scales it
  int height = 240;
  std::vector<Series> series = {};
  std::vector<Point> epochs = {};  // x: where it ends, y: its number
  std::optional<Point> best = {};  // drawn with a ring; its value beside the title
};

// Points that are not finite are left out and interrupt their line.
std::string plot_svg(const Plot& plot);

// Round numbers (1, 2 or 5 times a power of ten apart) that lie in [low, high], about `count`.
std::vector<double> nice_ticks(double low, double high, int count);

// At most `most` points: of equally many neighbours, the mean of the finite ones.
std::vector<Point> thinned(const std::vector<Point>& points, size_t most);

// The mean over each point and up to `reach` neighbours on either side, fewer near the ends, so
// that the curve does not lag behind; points that are not finite are left out.
std::vector<Point> smoothed(const std::vector<Point>& points, int reach);

}  // namespace heddle
