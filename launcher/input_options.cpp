#include "launcher/input_options.h"

#include <algorithm>

namespace heddle {
namespace {

bool is_number(const std::string& column) {
  return !column.empty() &&
         std::ranges::all_of(column, [](char c) { return c >= '0' && c <= '9'; });
}

void require_numbered(const std::string& column, const char* option, int number) {
  if (column.empty() || is_number(column)) return;
  throw Error(ExitCode::kInput,
              fmt::format("--no-header: no column is called '{}', as nothing has a name", column),
              fmt::format("say which one it is by its number from 0: {} {}", option, number));
}

}  // namespace

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
  verb.add_option("--format", format,
                  labelled ? "tsv, csv, jsonl or txt; otherwise as the ending says, and tsv for "
                             "standard input"
                           : "tsv, csv, jsonl or txt; otherwise as the ending says; standard input "
                             "is one text a line, or tsv if --text is given")
      ->check(CLI::IsMember({"tsv", "csv", "jsonl", "txt"}));
  verb.add_option("--skip-bad", skip_bad, "broken rows that are left out and listed")
      ->check(whole_number(0, 1'000'000'000));
}

DataSource InputOptions::source(const TextSettings& trained, bool labelled) const {
  DataSource source;
  source.paths = paths;
  source.text = text.empty() ? trained.text_column : text;
  source.pair = pair.empty() && text.empty() ? trained.pair_column : pair;
  source.header = !no_header;
  source.keep_all_columns = true;
  if (!format.empty()) source.format = format_of("." + format);
  const bool standard_input = paths == std::vector<std::string>{"-"};
  if (standard_input && !source.format && (labelled || !text.empty())) source.format = Format::kTsv;
  if (source.format == Format::kText || (standard_input && !source.format)) {
    if (text.empty()) source.text = source.pair = "";  // a line has no columns to choose from
  }
  if (labelled) {
    source.label = label.empty() ? trained.label_column : label;
    if (source.label.empty()) source.label = "label";
  }
  if (no_header) {
    require_numbered(source.text, "--text", 0);
    require_numbered(source.pair, "--pair", 1);
    require_numbered(source.label, "--label", 1);
  }
  return source;
}

void refuse_standard_input(const std::vector<std::string>& paths, const char* what) {
  if (std::ranges::find(paths, "-") == paths.end()) return;
  throw Error(ExitCode::kInput,
              fmt::format("{}: standard input cannot be read more than once", what),
              "write the rows into a file first");
}

void warn_of_skipped(const Session& session, const std::vector<BadRow>& rows) {
  for (const BadRow& row : rows) {
    session.warn(fmt::format("skipped {}: {}", row.where, row.reason));
  }
}

}  // namespace heddle
