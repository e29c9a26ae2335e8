// What a test of the whole program starts from, made once a test program: a folder with a few
// labelled rows, a config, a run that has trained two steps, and its export.
//
//   const TinyModel& tiny = tiny_model();
//   run_heddle("evaluate " + tiny.run + " " + tiny.data);
#pragma once

#include <string>

namespace heddle {

struct TinyModel {
  std::string folder;
  std::string data;      // TSV with the columns text, label: a, b
  std::string config;    // YAML, output: `run`
  std::string run;       // has checkpoints of steps 1 and 2, and ended
  std::string exported;  // a Hugging Face folder

  // A path in the folder.
  std::string operator/(const std::string& name) const { return folder + "/" + name; }
};

const TinyModel& tiny_model();

// `name` in the folder, with this text.
std::string tiny_file(const std::string& name, const std::string& text);

}  // namespace heddle
