#include "trainer/log/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "trainer/log/format.h"
#include "trainer/log/html.h"

namespace heddle {
namespace {

constexpr size_t kMostPoints = 500;
constexpr size_t kMostHoverPoints = 120;
constexpr int kLeft = 52;
constexpr int kRight = 14;
constexpr int kTop = 34;
constexpr int kBottom = 36;

bool is_finite(Point point) {
  return std::isfinite(point.x) && std::isfinite(point.y);
}

std::string tick_text(double value) {
  const double size = std::abs(value);
  if (size >= 1000 && size < 1e6 && value == std::floor(value)) {
    return format_count(static_cast<int64_t>(value));
  }
  if (size >= 1e6 || (size > 0 && size < 1e-3)) {
    const int exponent = static_cast<int>(std::floor(std::log10(size) + 1e-9));
    return fmt::format("{:.3g}e{}", value / std::pow(10, exponent), exponent);
  }
  return fmt::format("{:.4g}", value == 0 ? 0.0 : value);
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double share(double value) const { return (value - low) / (high - low); }
};

// Some air around the data; down to zero where the data nearly reach it.
Range padded(Range range, bool may_touch_zero) {
  if (!(range.low <= range.high)) {
    return {0, 1};
  }
  if (range.low == range.high) {
    const double air = range.low == 0 ? 1 : std::abs(range.low) * 0.5;
    return {range.low - air, range.high + air};
  }
  const double air = (range.high - range.low) * 0.06;
  const bool to_zero = may_touch_zero && range.low >= 0 && range.low < range.high * 0.35;
  return {to_zero ? 0 : range.low - air, range.high + air};
}

class Drawing {
 public:
  explicit Drawing(const Plot& plot) : plot_(plot) {
    for (const Series& series : plot.series) {
      for (Point point : series.points) {
        if (is_finite(point)) {
          x_.include(point.x);
          y_.include(point.y);
        }
      }
    }
    empty_ = !(x_.low <= x_.high);
    if (empty_) {
      x_ = {0, 1};
    } else if (x_.low == x_.high) {
      x_ = {x_.low - 1, x_.high + 1};
    }
    y_ = padded(y_, true);
  }

  std::string svg() {
    out_ =
        fmt::format("<svg class=\"plot\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
                    plot_.width, plot_.height, html_escape(plot_.title));
    out_ += fmt::format("<text class=\"title\" x=\"{}\" y=\"18\">{}</text>\n", kLeft,
                        html_escape(plot_.title));
    if (empty_) {
      out_ += fmt::format(
          "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">no data</text>\n",
          plot_.width / 2, plot_.height / 2);
      return out_ + "</svg>\n";
    }
    draw_axes();
    draw_epochs();
    draw_legend();
    for (const Series& series : plot_.series) {
      draw_line(series);
    }
    draw_best();
    for (const Series& series : plot_.series) {
      draw_hover(series);
    }
    return out_ + "</svg>\n";
  }

 private:
  double at_x(double x) const { return kLeft + x_.share(x) * (plot_.width - kLeft - kRight); }
  double at_y(double y) const {
    return plot_.height - kBottom - y_.share(y) * (plot_.height - kTop - kBottom);
  }

  void draw_axes() {
    const int bottom = plot_.height - kBottom;
    for (double y : nice_ticks(y_.low, y_.high, plot_.height / 40)) {
      out_ += fmt::format(
          "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
          "<text class=\"tick\" x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
          kLeft, plot_.width - kRight, at_y(y), kLeft - 8, at_y(y) + 4, tick_text(y));
    }
    for (double x : nice_ticks(x_.low, x_.high, std::min(plot_.width / 60, 12))) {
      if (x == std::floor(x)) {
        out_ += fmt::format(
            "<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>"
            "<text class=\"tick\" x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>\n",
            at_x(x), bottom, bottom + 4, bottom + 17, tick_text(x));
      }
    }
    out_ += fmt::format(
        "<line class=\"axis\" x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\"/>"
        "<text class=\"tick\" x=\"{1}\" y=\"{3}\" text-anchor=\"end\">{4}</text>\n",
        kLeft, plot_.width - kRight, bottom, plot_.height - 4, html_escape(plot_.x_name));
  }

  void draw_epochs() {
    for (Point epoch : plot_.epochs) {
      if (epoch.x > x_.low && epoch.x < x_.high) {
        out_ += fmt::format(
            "<line class=\"epoch\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\">"
            "<title>end of epoch {3}</title></line>\n",
            at_x(epoch.x), kTop, plot_.height - kBottom, epoch.y);
      }
    }
  }

  // Right of the title, from right to left; only where there is something to tell apart.
  void draw_legend() {
    if (plot_.series.size() < 2) {
      return;
    }
    double right = plot_.width - kRight;
    for (auto series = plot_.series.rbegin(); series != plot_.series.rend(); ++series) {
      if (series->label.empty()) {
        continue;
      }
      const double width = 7.0 * static_cast<double>(series->label.size()) + 26;
      out_ += fmt::format(
          "<line class=\"{0}\" x1=\"{1:.1f}\" x2=\"{2:.1f}\" y1=\"14\" y2=\"14\"/>"
          "<text class=\"tick\" x=\"{3:.1f}\" y=\"18\">{4}</text>\n",
          line_class(*series), right - width, right - width + 16, right - width + 21,
          html_escape(series->label));
      right -= width + 12;
    }
  }

  static std::string line_class(const Series& series) {
    const char* style = series.style == SeriesStyle::kFaintLine    ? " faint"
                        : series.style == SeriesStyle::kDashedLine ? " dashed"
                                                                   : "";
    return fmt::format("line c{}{}", series.color, style);
  }

  void draw_line(const Series& series) {
    const std::vector<Point> points = thinned(series.points, kMostPoints);
    std::string path;
    bool pen_down = false;
    for (Point point : points) {
      if (is_finite(point)) {
        path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", at_x(point.x), at_y(point.y));
      }
      pen_down = is_finite(point);
    }
    if (!path.empty()) {
      out_ += fmt::format("<path class=\"{}\" d=\"{}\"/>\n", line_class(series), path);
    }
    for (Point point : points) {
      if (series.dots && is_finite(point)) {
        out_ += fmt::format("<circle class=\"dot c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\"/>\n",
                            series.color, at_x(point.x), at_y(point.y));
      }
    }
  }

  // A ring around the point, and its value right of the title, where it hides no line.
  void draw_best() {
    if (!plot_.best || !is_finite(*plot_.best)) {
      return;
    }
    out_ += fmt::format(
        "<circle class=\"best\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5.5\"/>"
        "<text class=\"best\" x=\"{}\" y=\"18\" text-anchor=\"end\">best {} at {}</text>\n",
        at_x(plot_.best->x), at_y(plot_.best->y), plot_.width - kRight,
        format_number(plot_.best->y), format_count(std::llround(plot_.best->x)));
  }

  void draw_hover(const Series& series) {
    if (!series.hover) {
      return;
    }
    for (Point point : thinned(series.points, kMostHoverPoints)) {
      if (is_finite(point)) {
        out_ += fmt::format(
            "<circle class=\"hit c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"7\">"
            "<title>{} {}: {} {}</title></circle>\n",
            series.color, at_x(point.x), at_y(point.y), html_escape(plot_.x_name),
            format_count(std::llround(point.x)), html_escape(series.label), format_number(point.y));
      }
    }
  }

  const Plot& plot_;
  Range x_;
  Range y_;
  bool empty_ = false;
  std::string out_;
};

}  // namespace

std::string plot_svg(const Plot& plot) {
  return Drawing(plot).svg();
}

std::vector<double> nice_ticks(double low, double high, int count) {
  const double rough = (high - low) / std::max(count, 1);
  if (!(rough > 0) || !std::isfinite(rough)) {
    return {low};
  }
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double ratio = rough / power;
  const double step = power * (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10);
  std::vector<double> ticks;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) {
    ticks.push_back(i * step);
  }
  return ticks;
}

std::vector<Point> thinned(const std::vector<Point>& points, size_t most) {
  if (points.size() <= most) {
    return points;
  }
  std::vector<Point> result;
  for (size_t bucket = 0; bucket < most; ++bucket) {
    Point sum;
    double count = 0;
    for (size_t i = bucket * points.size() / most; i < (bucket + 1) * points.size() / most; ++i) {
      if (is_finite(points[i])) {
        sum.x += points[i].x;
        sum.y += points[i].y;
        ++count;
      }
    }
    result.push_back({sum.x / count, sum.y / count});
  }
  return result;
}

std::vector<Point> smoothed(const std::vector<Point>& points, int reach) {
  std::vector<Point> finite;
  std::vector<double> sums{0};  // of the first i values
  for (Point point : points) {
    if (is_finite(point)) {
      finite.push_back(point);
      sums.push_back(sums.back() + point.y);
    }
  }
  const auto count = static_cast<int64_t>(finite.size());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t near = std::min<int64_t>({reach, i, count - 1 - i});
    finite[i].y = (sums[i + near + 1] - sums[i - near]) / static_cast<double>(2 * near + 1);
  }
  return finite;
}

}  // namespace heddle
