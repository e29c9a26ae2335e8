// The sections of a report, each as HTML; "" where the run has no data for it.
#pragma once

#include <string>

#include "trainer/log/report_input.h"

namespace heddle {

std::string training_section(const ReportInput& input);    // report_curves.cpp
std::string evaluation_section(const ReportInput& input);  // report_curves.cpp
std::string test_section(const MetricReport& report);      // report_test_split.cpp
std::string most_wrong_section(const ReportInput& input);  // report_test_split.cpp

// Whether a metric of this name, of whatever problem, is better when higher.
bool higher_is_better(const std::string& metric);

}  // namespace heddle
