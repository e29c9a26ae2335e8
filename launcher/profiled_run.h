// --profile FILE: where a verb's time goes, as tables on standard error and as a trace.
#pragma once

#include <string>

#include "framework/device/profile.h"
#include "launcher/session.h"

namespace heddle {

class ProfiledRun {
 public:
  // Begins once every rank is here. Throws Error(kInput) if `path` is in no folder or a file that
  // is no trace of before, and FileError if it cannot be written. Collective.
  ProfiledRun(Session& session, std::string path);

  // Ends it, prints the tables and writes the trace of all ranks. Collective.
  void finish();

 private:
  Session& session_;
  std::string path_;
  Profile profile_;
};

}  // namespace heddle
