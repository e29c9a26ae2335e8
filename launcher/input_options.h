// The options of verbs that read rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/examples.h"
#include "launcher/program.h"
#include "trainer/served_model.h"

namespace heddle {

struct InputOptions {
  std::vector<std::string> paths;
  std::string text, pair, label, format;
  bool no_header = false;
  int64_t skip_bad = 0;

  // `name` is the positional's name in the help.
  void add_to(CLI::App& verb, const std::string& name, bool labelled);
  // Columns that were not named are those that the model was trained on. Standard input is one text
  // a line, whatever the model, and TSV if a column is named or labels are needed; --format wins.
  // Throws Error (kInput) if there is no header and a column is known by its name alone.
  DataSource source(const TextSettings& trained, bool labelled) const;
};

// Throws Error (kInput) if standard input is among `paths`: `what` reads its rows twice.
void refuse_standard_input(const std::vector<std::string>& paths, const char* what);

// "skipped FILE:LINE: reason" for each.
void warn_of_skipped(const Session& session, const std::vector<BadRow>& rows);

}  // namespace heddle
