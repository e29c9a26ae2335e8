// A run as one HTML page that needs nothing else: no script, no font, no image from elsewhere.
//
//   PosixFileSystem files;
//   std::string page = make_report(read_report_input(files, "runs/sst2"));
//   write_file_atomically(files, "report.html", page);
#pragma once

#include <string>

#include "trainer/log/report_input.h"

namespace heddle {

// Curves of training and evaluation, metrics and confusion matrix of the test split, the examples
// most wrong, configuration and environment; sections without data are left out.
std::string make_report(const ReportInput& input);

}  // namespace heddle
