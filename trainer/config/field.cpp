#include "trainer/config/field.h"

#include <cmath>

#include "trainer/config/values.h"

namespace heddle {

std::string Field::range_text() const {
  const bool closed = !minimum_open && !maximum_open;
  if (closed && std::isfinite(minimum) && std::isfinite(maximum)) {
    return "from " + number_text(minimum) + " to " + number_text(maximum);
  }
  std::string text;
  if (std::isfinite(minimum)) {
    text = (minimum_open ? "above " : "at least ") + number_text(minimum);
  }
  if (std::isfinite(maximum)) {
    if (!text.empty()) text += " and ";
    text += (maximum_open ? "below " : "at most ") + number_text(maximum);
  }
  return text;
}

bool Field::contains(double value) const {
  const bool high_enough = minimum_open ? value > minimum : value >= minimum;
  const bool low_enough = maximum_open ? value < maximum : value <= maximum;
  return high_enough && low_enough;
}

}  // namespace heddle
