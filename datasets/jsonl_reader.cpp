// JSONL: one JSON object a line. The keys of the first object are the columns.
#include <algorithm>

#include "datasets/file_reader.h"
#include "datasets/json_line.h"
#include "framework/core/nearest_name.h"

namespace heddle {
namespace {

class JsonlReader : public FileReader {
 public:
  JsonlReader(std::string path, std::unique_ptr<ByteSource> source,
              std::vector<std::string> columns, bool strict)
      : FileReader(std::move(path), std::move(source)), strict_(strict) {
    columns_ = std::move(columns);
  }

  bool next(Row& row) override {
    std::string_view line;
    if (!take_line(line)) return false;
    require_text(line);
    if (!json_.parse(line)) throw error_at(line, json_.offset(), json_.reason());
    const std::span<const JsonLine::Member> members = json_.members();
    if (columns_.empty()) {
      if (members.empty()) throw error(line, "an object without a key");
      for (const JsonLine::Member& member : members) columns_.emplace_back(member.key);
    }
    fields_.assign(columns_.size(), {});
    kinds_.assign(columns_.size(), FieldKind::kText);
    for (size_t i = 0; i < members.size(); ++i) {
      const size_t column = column_of(members[i].key, i);
      if (column < columns_.size()) {
        fields_[column] = members[i].value;
        kinds_[column] = members[i].kind;
      } else if (strict_) {
        throw error(line, fmt::format("the key '{}' is not in the first row", members[i].key),
                    did_you_mean(members[i].key, columns_));
      }
    }
    set_row(row, line);
    return true;
  }

 private:
  // Most rows have their keys in the order of the first.
  size_t column_of(std::string_view key, size_t guess) const {
    if (guess < columns_.size() && columns_[guess] == key) return guess;
    return static_cast<size_t>(std::find(columns_.begin(), columns_.end(), key) - columns_.begin());
  }

  bool strict_;
  JsonLine json_;
};

}  // namespace

std::unique_ptr<FileReader> read_jsonl(std::string path, std::unique_ptr<ByteSource> source,
                                       std::vector<std::string> columns, bool strict) {
  return std::make_unique<JsonlReader>(std::move(path), std::move(source), std::move(columns),
                                       strict);
}

}  // namespace heddle
