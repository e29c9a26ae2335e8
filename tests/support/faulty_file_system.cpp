#include "tests/support/faulty_file_system.h"

#include <algorithm>
#include <cerrno>
#include <random>

namespace heddle {

// One change of a directory's names that is not synced yet. A rename is one change: it survives
// whole or not at all.
struct NameChange {
  std::string removed;
  std::string added;
  std::shared_ptr<void> node;  // of `added`
};

struct FaultyFileSystem::Node {
  explicit Node(FileKind node_kind) : kind(node_kind) {}

  FileKind kind;
  std::string target;                           // of a link; durable with its name
  std::vector<std::byte> bytes, durable_bytes;  // of a file
  std::map<std::string, std::shared_ptr<Node>> names, durable_names;  // of a directory
  std::vector<NameChange> changes;                                    // from durable_names to names

  void change(NameChange step) {
    if (!step.removed.empty()) names.erase(step.removed);
    if (!step.added.empty()) names[step.added] = std::static_pointer_cast<Node>(step.node);
    changes.push_back(std::move(step));
  }

  using Copies = std::map<const Node*, std::shared_ptr<Node>>;
  // A copy of everything below; nodes that are shared stay shared.
  std::shared_ptr<Node> clone(Copies& copies) const {
    std::shared_ptr<Node>& copy = copies[this];
    if (copy != nullptr) return copy;
    copy = std::make_shared<Node>(kind);
    copy->target = target;
    copy->bytes = bytes;
    copy->durable_bytes = durable_bytes;
    const std::shared_ptr<Node> result = copy;
    for (const auto& [name, node] : names) result->names[name] = node->clone(copies);
    for (const auto& [name, node] : durable_names)
      result->durable_names[name] = node->clone(copies);
    for (NameChange step : changes) {
      if (step.node != nullptr)
        step.node = static_cast<const Node*>(step.node.get())->clone(copies);
      result->changes.push_back(std::move(step));
    }
    return result;
  }

  // What is left of this after a crash; all of it is durable then.
  template <typename Coin>
  std::shared_ptr<Node> survivor(Survival survival, Coin& coin) const {
    auto left = std::make_shared<Node>(kind);
    left->target = target;
    left->bytes = surviving_bytes(survival, coin);
    auto survivors = survival == Survival::kEverything ? names : durable_names;
    if (survival == Survival::kRandom) {
      for (const NameChange& step : changes) {
        if (!coin()) continue;
        if (!step.removed.empty()) survivors.erase(step.removed);
        if (!step.added.empty()) survivors[step.added] = std::static_pointer_cast<Node>(step.node);
      }
    }
    for (const auto& [name, node] : survivors) left->names[name] = node->survivor(survival, coin);
    left->durable_bytes = left->bytes;
    left->durable_names = left->names;
    return left;
  }

  template <typename Coin>
  std::vector<std::byte> surviving_bytes(Survival survival, Coin& coin) const {
    if (survival == Survival::kEverything) return bytes;
    if (survival == Survival::kDurableOnly) return durable_bytes;
    std::vector<std::byte> left = durable_bytes;
    if (coin()) left.resize(bytes.size());
    constexpr size_t kPiece = 512;
    for (size_t at = 0; at < std::min(left.size(), bytes.size()); at += kPiece) {
      const size_t count = std::min(kPiece, std::min(left.size(), bytes.size()) - at);
      if (coin()) std::copy_n(bytes.begin() + at, count, left.begin() + at);
    }
    return left;
  }
};

// Counts operations and makes the chosen one fail.
struct FaultyFileSystem::Trouble {
  int64_t operations = 0;
  int64_t fail_at = -1;
  Fault fault = Fault::kCrash;
  uint64_t free_space = uint64_t{1} << 40;

  enum class Need { kNothing, kSpace };

  // Called first by every operation. Returns true if a write shall be short.
  bool before(const std::string& path, const std::string& operation, Need need = Need::kNothing) {
    const int64_t now = operations++;
    if (fail_at < 0 || now < fail_at) return false;
    switch (fault) {
      case Fault::kCrash:
        throw SimulatedCrash{};
      case Fault::kNoSpace:
        if (need == Need::kSpace) throw FileError(path, operation, ENOSPC);
        return false;
      case Fault::kIoError:
        if (now == fail_at) throw FileError(path, operation, EIO);
        return false;
      case Fault::kBroken:
        throw FileError(path, operation, EIO);
      case Fault::kShortWrite:
        return now == fail_at;
    }
    return false;
  }
};

class FaultyFileSystem::MappedNode final : public Mapping {
 public:
  explicit MappedNode(std::shared_ptr<Node> node) : node_(std::move(node)) {
    bytes_ = node_->bytes;
  }
  void release(std::span<const std::byte>) const override {}

 private:
  std::shared_ptr<Node> node_;
};

class FaultyFileSystem::OpenFile final : public File {
 public:
  OpenFile(const std::string& path, std::shared_ptr<Node> node, std::shared_ptr<Trouble> trouble)
      : File(path), node_(std::move(node)), trouble_(std::move(trouble)) {}

  uint64_t size() override {
    trouble_->before(path(), "examine");
    return node_->bytes.size();
  }
  std::unique_ptr<Mapping> map() override {
    trouble_->before(path(), "map into memory");
    return std::make_unique<MappedNode>(node_);
  }
  void truncate(uint64_t size) override {
    trouble_->before(path(), "truncate", Trouble::Need::kSpace);
    node_->bytes.resize(size);
  }
  void sync() override {
    trouble_->before(path(), "fsync");
    node_->durable_bytes = node_->bytes;
  }
  void close() override { trouble_->before(path(), "close"); }

 protected:
  size_t read_some(uint64_t offset, std::span<std::byte> bytes) override {
    trouble_->before(path(), "read");
    const std::vector<std::byte>& content = node_->bytes;
    if (offset >= content.size()) return 0;
    const size_t count = std::min<size_t>(bytes.size(), content.size() - offset);
    std::copy_n(content.begin() + static_cast<ptrdiff_t>(offset), count, bytes.begin());
    return count;
  }
  size_t write_some(uint64_t offset, std::span<const std::byte> bytes) override {
    const bool is_short = trouble_->before(path(), "write", Trouble::Need::kSpace);
    if (is_short) bytes = bytes.first((bytes.size() + 1) / 2);
    std::vector<std::byte>& content = node_->bytes;
    content.resize(std::max<size_t>(content.size(), offset + bytes.size()));
    std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<ptrdiff_t>(offset));
    return bytes.size();
  }

 private:
  std::shared_ptr<Node> node_;
  std::shared_ptr<Trouble> trouble_;
};

FaultyFileSystem::FaultyFileSystem()
    : root_(std::make_shared<Node>(FileKind::kDirectory)), trouble_(std::make_shared<Trouble>()) {}

FaultyFileSystem::~FaultyFileSystem() = default;

void FaultyFileSystem::fail_at(int64_t k, Fault fault) {
  *trouble_ = {.operations = 0, .fail_at = k, .fault = fault, .free_space = trouble_->free_space};
}

void FaultyFileSystem::never_fail() {
  fail_at(-1, Fault::kCrash);
}

int64_t FaultyFileSystem::operations() const {
  return trouble_->operations;
}

void FaultyFileSystem::set_free_space(uint64_t bytes) {
  trouble_->free_space = bytes;
}

std::unique_ptr<FaultyFileSystem> FaultyFileSystem::clone() const {
  auto copy = std::make_unique<FaultyFileSystem>();
  Node::Copies copies;
  copy->root_ = root_->clone(copies);
  return copy;
}

std::unique_ptr<FaultyFileSystem> FaultyFileSystem::after_crash(Survival survival,
                                                                uint64_t seed) const {
  std::mt19937_64 random(seed);
  const auto coin = [&random] { return (random() >> 32) % 2 == 0; };
  auto copy = std::make_unique<FaultyFileSystem>();
  copy->root_ = root_->survivor(survival, coin);
  return copy;
}

FaultyFileSystem::Place FaultyFileSystem::find(const std::string& path, bool follow_last,
                                               int depth) const {
  if (depth > 8) throw FileError(path, "open", ELOOP);
  std::vector<std::string> parts;
  for (size_t at = 0; at < path.size();) {
    const size_t slash = std::min(path.find('/', at), path.size());
    const std::string part = path.substr(at, slash - at);
    if (!part.empty()) parts.push_back(part);
    at = slash + 1;
  }
  Place place{nullptr, "", root_};
  std::string walked;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (place.node == nullptr) throw FileError(path, "open", ENOENT);
    if (place.node->kind != FileKind::kDirectory) throw FileError(path, "open", ENOTDIR);
    if (parts[i] == ".") continue;
    const std::shared_ptr<Node> directory = place.node;
    const auto entry = directory->names.find(parts[i]);
    place = {directory, parts[i], entry == directory->names.end() ? nullptr : entry->second};
    const bool is_link = place.node != nullptr && place.node->kind == FileKind::kSymlink;
    if (is_link && (follow_last || i + 1 < parts.size())) {
      place = find(join_path(walked, place.node->target), true, depth + 1);
    }
    walked = join_path(walked, parts[i]);
  }
  return place;
}

std::shared_ptr<FaultyFileSystem::Node> FaultyFileSystem::existing(const std::string& path,
                                                                   const char* operation) const {
  const Place place = find(path, true);
  if (place.node == nullptr) throw FileError(path, operation, ENOENT);
  return place.node;
}

std::shared_ptr<FaultyFileSystem::Node> FaultyFileSystem::existing(const std::string& path,
                                                                   const char* operation,
                                                                   FileKind kind) const {
  std::shared_ptr<Node> node = existing(path, operation);
  if (node->kind != kind) {
    throw FileError(path, operation, kind == FileKind::kFile ? EISDIR : ENOTDIR);
  }
  return node;
}

void FaultyFileSystem::add(const std::string& path, const char* operation,
                           std::shared_ptr<Node> node) {
  const Place place = find(path, false);
  if (place.node != nullptr) throw FileError(path, operation, EEXIST);
  place.directory->change({"", place.name, std::move(node)});
}

std::unique_ptr<File> FaultyFileSystem::open(const std::string& path, OpenMode mode) {
  std::shared_ptr<Node> node;
  if (mode == OpenMode::kCreate) {
    trouble_->before(path, "create", Trouble::Need::kSpace);
    node = std::make_shared<Node>(FileKind::kFile);
    add(path, "create", node);
  } else {
    trouble_->before(path, "open");
    node = existing(path, "open", FileKind::kFile);
  }
  return std::make_unique<OpenFile>(path, node, trouble_);
}

FileKind FaultyFileSystem::kind(const std::string& path) {
  trouble_->before(path, "examine");
  try {
    const Place place = find(path, false);
    return place.node == nullptr ? FileKind::kMissing : place.node->kind;
  } catch (const FileError&) {
    return FileKind::kMissing;
  }
}

uint64_t FaultyFileSystem::size(const std::string& path) {
  trouble_->before(path, "examine");
  return existing(path, "open")->bytes.size();
}

uint64_t FaultyFileSystem::free_space(const std::string& directory) {
  trouble_->before(directory, "ask for free space");
  existing(directory, "ask for free space");
  return trouble_->free_space;
}

std::vector<std::string> FaultyFileSystem::list(const std::string& directory) {
  trouble_->before(directory, "list");
  std::vector<std::string> names;
  for (const auto& [name, node] : existing(directory, "open", FileKind::kDirectory)->names) {
    names.push_back(name);
  }
  return names;
}

std::string FaultyFileSystem::read_symlink(const std::string& path) {
  trouble_->before(path, "read the link");
  const Place place = find(path, false);
  if (place.node == nullptr) throw FileError(path, "read the link", ENOENT);
  if (place.node->kind != FileKind::kSymlink) throw FileError(path, "read the link", EINVAL);
  return place.node->target;
}

void FaultyFileSystem::make_directory(const std::string& path) {
  trouble_->before(path, "make the directory", Trouble::Need::kSpace);
  add(path, "make the directory", std::make_shared<Node>(FileKind::kDirectory));
}

void FaultyFileSystem::make_symlink(const std::string& target, const std::string& path) {
  trouble_->before(path, "make the link", Trouble::Need::kSpace);
  auto node = std::make_shared<Node>(FileKind::kSymlink);
  node->target = target;
  add(path, "make the link", std::move(node));
}

void FaultyFileSystem::rename(const std::string& from, const std::string& to) {
  const std::string operation = fmt::format("rename to '{}'", to);
  trouble_->before(from, operation);
  const Place source = find(from, false);
  const Place target = find(to, false);
  if (source.node == nullptr) throw FileError(from, operation, ENOENT);
  // Everything that must be atomic happens within one directory; the model knows no other rename.
  if (source.directory != target.directory) throw FileError(from, operation, EXDEV);
  if (target.node != nullptr && target.node->kind == FileKind::kDirectory) {
    if (!target.node->names.empty()) throw FileError(from, operation, ENOTEMPTY);
    if (source.node->kind != FileKind::kDirectory) throw FileError(from, operation, EISDIR);
  }
  source.directory->change({source.name, target.name, source.node});
}

void FaultyFileSystem::remove(const std::string& path) {
  trouble_->before(path, "remove");
  const Place place = find(path, false);
  if (place.node == nullptr) throw FileError(path, "remove", ENOENT);
  if (!place.node->names.empty()) throw FileError(path, "remove", ENOTEMPTY);
  place.directory->change({place.name, "", nullptr});
}

void FaultyFileSystem::sync_directory(const std::string& path) {
  trouble_->before(path, "fsync");
  const std::shared_ptr<Node> node = existing(path, "open", FileKind::kDirectory);
  node->durable_names = node->names;
  node->changes.clear();
}

}  // namespace heddle
