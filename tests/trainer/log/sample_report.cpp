// sample_report FOLDER: writes a sample run into FOLDER/run and its report to FOLDER/report.html.
#include <cstdio>

#include "tests/trainer/log/sample_run.h"
#include "trainer/log/report.h"

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: sample_report FOLDER\n");
    return 64;
  }
  heddle::PosixFileSystem files;
  const std::string folder = arguments[1];
  const std::string run = heddle::join_path(folder, "reviews");
  heddle::write_sample_run(files, run);
  heddle::write_new_file(files, heddle::join_path(folder, "report.html"),
                         heddle::make_report(heddle::read_report_input(files, run)));
  return 0;
}
