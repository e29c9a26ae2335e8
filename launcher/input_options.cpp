#include "launcher/input_options.h"

namespace heddle {

void InputOptions::add_to(CLI::App& verb, const std::string& name, bool labelled) {
  verb.add_option(name, paths,
                  "files or patterns: .tsv, .csv, .jsonl or .txt, plain or .gz or .zst; - is "
                  "standard input")
      ->required()
      ->expected(1, -1);
  verb.add_option("--text", text, "column of the text, by name or by number from 0");
  verb.add_option("--pair", pair, "column of a second text");
  if (labelled) verb.add_option("--label", label, "column of the label");
  verb.add_flag("--no-header", no_header, "the first line is a row");
  verb.add_option("--skip-bad", skip_bad, "broken rows that are left out and listed")
      ->check(CLI::NonNegativeNumber);
}

DataSource InputOptions::source(const TextSettings& trained, bool labelled) const {
  DataSource source;
  source.paths = paths;
  source.text = text.empty() ? trained.text_column : text;
  source.pair = pair.empty() && text.empty() ? trained.pair_column : pair;
  source.header = !no_header;
  source.keep_all_columns = true;
  if (labelled) {
    source.label = label.empty() ? trained.label_column : label;
    if (source.label.empty()) source.label = "label";
  }
  return source;
}

void warn_of_skipped(const Session& session, const std::vector<BadRow>& rows) {
  for (const BadRow& row : rows) {
    session.warn(fmt::format("skipped {}: {}", row.where, row.reason));
  }
}

}  // namespace heddle
