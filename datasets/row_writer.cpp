#include "datasets/row_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "datasets/field_format.h"
#include "datasets/written_rows.h"
#include "framework/core/error.h"

namespace heddle {
namespace {

constexpr size_t kBuffer = size_t{1} << 20;

Format format_to_write(const std::string& path, const RowWriterOptions& options) {
  if (path.ends_with(".gz") || path.ends_with(".zst")) {
    throw Error(ExitCode::kInput, fmt::format("{}: cannot write compressed files", path),
                "leave the last ending away and compress the file afterwards");
  }
  const Format format = options.format ? *options.format
                        : path == "-"  ? Format::kTsv
                                       : format_of(path);
  if (format == Format::kText) {
    throw Error(ExitCode::kInput, fmt::format("{}: text has no columns to write to", path),
                "end the name in .tsv, .csv or .jsonl");
  }
  return format;
}

}  // namespace

RowWriter::RowWriter(FileSystem& files, const std::string& path, std::vector<std::string> columns,
                     const RowWriterOptions& options)
    : files_(files),
      path_(path == "-" ? path : follow_links(files, path)),
      part_(path_ + ".part"),
      columns_(std::move(columns)),
      format_(format_to_write(path, options)),
      options_(options) {
  check(!columns_.empty(), "[row writer] no columns");
  std::string header;
  for (size_t i = 0; i < columns_.size(); ++i) {
    std::string name;
    append_text(format_, columns_[i], name);
    if (format_ == Format::kJsonl) {
      prefixes_.push_back(fmt::format("{}{}: ", i == 0 ? "{" : ", ", name));
    } else {
      prefixes_.push_back(i == 0 ? "" : format_ == Format::kTsv ? "\t" : ",");
      header += prefixes_.back() + name;
    }
  }
  if (!header.empty()) header += '\n';

  buffer_.reserve(kBuffer + kBuffer / 4);
  if (path_ == "-") {
    buffer_ = header;
  } else if (options_.resume && is_finished()) {
    was_finished_ = true;
  } else {
    open_part(header);
  }
}

// Whether PATH is there, whole, and of this job.
bool RowWriter::is_finished() const {
  if (files_.exists(part_) || !files_.exists(path_)) return false;
  if (options_.job.parts.empty()) return true;
  const std::optional<OutputRecord> found = read_output_record(files_, path_);
  require_same_job(path_, found, options_.job);
  if (!found->bytes) return false;  // ended before its first row; PATH is an older one
  if (*found->bytes == files_.size(path_)) return true;
  throw Error(ExitCode::kInput,
              fmt::format("{}: cannot resume: it was changed after it was written", path_),
              "leave out --resume to write it anew");
}

void RowWriter::open_part(const std::string& header) {
  const bool has_part = files_.exists(part_);
  file_ = files_.open(part_, has_part ? OpenMode::kUpdate : OpenMode::kCreate);
  // It may have got its name since it was opened.
  if (!file_->try_lock() || !files_.exists(part_)) {
    throw Error(ExitCode::kInput, fmt::format("{}: is being written by another job", part_),
                "wait until it is done, or name another output");
  }
  if (options_.resume && file_->size() > 0) {
    if (!options_.job.parts.empty()) {
      require_same_job(part_, read_output_record(files_, path_), options_.job);
    }
    resume_part(header);
    return;
  }
  file_->truncate(0);
  // Before the first row, so that no row is there without it.
  if (!options_.job.parts.empty()) write_output_record(files_, path_, {options_.job, {}});
  buffer_ = header;
}

void RowWriter::resume_part(const std::string& header) {
  const WrittenRows found = find_written_rows(*file_, format_, header, columns_);
  file_->truncate(found.bytes);
  position_ = found.bytes;
  rows_ = found.rows;
  if (position_ == 0) buffer_ = header;
}

void RowWriter::begin_field() {
  check(column_ < columns_.size(), "[row writer] more values than the {} columns", columns_.size());
  buffer_ += prefixes_[column_++];
}

void RowWriter::text(std::string_view value) {
  begin_field();
  append_text(format_, value, buffer_);
}

void RowWriter::json(std::string_view value) {
  begin_field();
  append_json(format_, value, buffer_);
}

void RowWriter::number(float value) {
  begin_field();
  append_number(format_, value, buffer_);
}

void RowWriter::integer(int64_t value) {
  begin_field();
  char digits[24];
  buffer_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

void RowWriter::fields(const Row& row) {
  for (size_t i = 0; i < row.fields.size(); ++i) {
    if (row.kinds[i] == FieldKind::kJson) {
      json(row.fields[i]);
    } else {
      text(row.fields[i]);
    }
  }
}

void RowWriter::end_row() {
  check(column_ == columns_.size(), "[row writer] {} values in a row. Expected {}.", column_,
        columns_.size());
  check(!was_finished_, "[row writer] a row for a file that is finished");
  buffer_ += format_ == Format::kJsonl ? "}\n" : "\n";
  column_ = 0;
  ++rows_;
  if (buffer_.size() >= kBuffer) flush();
}

void RowWriter::flush() {
  check(column_ == 0, "[row writer] flush inside a row");
  write_out(buffer_);
  buffer_.clear();
}

void RowWriter::write_out(std::string_view bytes) {
  if (file_) {
    file_->write_at(position_, std::as_bytes(std::span(bytes)));
    position_ += bytes.size();
    return;
  }
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw FileError("standard output", "write", errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void RowWriter::finish() {
  if (was_finished_) return;
  flush();
  if (!file_) return;
  file_->sync();
  if (!options_.job.parts.empty()) write_output_record(files_, path_, {options_.job, position_});
  files_.rename(part_, path_);  // while it is locked
  file_->close();
  files_.sync_directory(parent_path(path_));
}

std::vector<std::string> output_columns(std::vector<std::string> input,
                                        const std::vector<std::string>& added) {
  const size_t given = input.size();
  for (std::string name : added) {
    while (std::find(input.begin(), input.begin() + static_cast<int64_t>(given), name) !=
           input.begin() + static_cast<int64_t>(given)) {
      name = "predicted_" + name;
    }
    input.push_back(std::move(name));
  }
  return input;
}

}  // namespace heddle
