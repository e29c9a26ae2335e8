#include "framework/io/checkpoint_writer.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "framework/io/hash.h"

namespace heddle {

namespace {

constexpr std::string_view kTemporary = ".tmp-";
constexpr uint64_t kSpareBytes = 1 << 20;  // for manifest and structure

std::string step_name(int64_t step, int64_t generation = 1) {
  const std::string name = fmt::format("step-{:09}", step);
  return generation == 1 ? name : fmt::format("{}.{}", name, generation);
}

std::optional<int64_t> number(std::string_view digits) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value < 0)
    return std::nullopt;
  return value;
}

bool is_file_of_ours(std::string_view name) {
  return name == kManifestFile || name == fmt::format(".{}.tmp", kManifestFile) ||
         (name.starts_with("shard-") && name.ends_with(".h5"));
}

// Removes a directory that holds nothing but files of a checkpoint; any other stays untouched.
void remove_if_ours(FileSystem& files, const std::string& directory) {
  if (files.kind(directory) != FileKind::kDirectory) return;
  const std::vector<std::string> names = files.list(directory);
  for (const std::string& name : names) {
    if (!is_file_of_ours(name) || files.kind(join_path(directory, name)) != FileKind::kFile) return;
  }
  for (const std::string& name : names) files.remove(join_path(directory, name));
  files.remove(directory);
}

// What saves and removals that died have left.
void remove_leftovers(FileSystem& files, const std::string& root) {
  for (const std::string& name : files.list(root)) {
    if (!name.starts_with(kTemporary)) continue;
    if (parse_checkpoint_name(std::string_view(name).substr(kTemporary.size()))) {
      remove_if_ours(files, join_path(root, name));
    }
  }
}

std::string link_target(FileSystem& files, const std::string& link) {
  return files.kind(link) == FileKind::kSymlink ? base_name(files.read_symlink(link)) : "";
}

// The order in which checkpoints deserve to stay: the one just saved, then those before it, newest
// first. A later step was passed over as damaged when this run started, so it comes last.
std::vector<CheckpointName> by_worth(FileSystem& files, const std::string& root, int64_t step) {
  std::vector<CheckpointName> names = list_checkpoints(files, root);
  int64_t newest = 0;
  for (const CheckpointName& name : names) {
    if (name.step == step) newest = std::max(newest, name.generation);
  }
  std::stable_partition(names.begin(), names.end(), [&](const CheckpointName& name) {
    return name.step < step || (name.step == step && name.generation == newest);
  });
  return names;
}

// Removes checkpoints beyond `keep`. One that is removed loses its name first, so that a crash
// leaves no half of it behind.
void prune(FileSystem& files, const std::string& root, int64_t step, const CommitOptions& options) {
  const std::vector<std::string> protected_names{link_target(files, join_path(root, "best")),
                                                 link_target(files, join_path(root, "last")),
                                                 base_name(options.loaded)};
  const auto is_protected = [&](const std::string& name) {
    return std::find(protected_names.begin(), protected_names.end(), name) != protected_names.end();
  };
  int kept = 0;
  bool removed = false;
  for (const CheckpointName& old : by_worth(files, root, step)) {
    if (++kept <= std::max(options.keep, 1) || is_protected(base_name(old.path))) continue;
    const std::string aside = join_path(root, fmt::format("{}{}", kTemporary, base_name(old.path)));
    if (files.exists(aside)) continue;
    files.rename(old.path, aside);
    removed = true;
  }
  if (!removed) return;
  files.sync_directory(root);
  remove_leftovers(files, root);
}

}  // namespace

std::optional<CheckpointName> parse_checkpoint_name(std::string_view name) {
  constexpr std::string_view kStep = "step-";
  if (!name.starts_with(kStep)) return std::nullopt;
  const size_t dot = name.find('.');
  const auto step = number(name.substr(kStep.size(), std::min(dot, name.size()) - kStep.size()));
  const auto generation =
      dot == name.npos ? std::optional<int64_t>(1) : number(name.substr(dot + 1));
  if (!step || !generation || step_name(*step, *generation) != name) return std::nullopt;
  return CheckpointName{"", *step, *generation};
}

std::string CheckpointPlace::temporary() const {
  return join_path(root, fmt::format("{}{}", kTemporary, step_name(step)));
}

void prepare_checkpoint(FileSystem& files, const CheckpointPlace& place, uint64_t bytes) {
  check(place.step >= 0, "[checkpoint] step {}. Expected at least 0.", place.step);
  make_directories(files, place.root);
  remove_leftovers(files, place.root);
  const uint64_t available = files.free_space(place.root);
  if (available < bytes + kSpareBytes) {
    throw Error(ExitCode::kIo,
                fmt::format("{}: has {:.1f} MB free; the checkpoint of step {} needs {:.1f} MB",
                            place.root, static_cast<double>(available) / 1e6, place.step,
                            static_cast<double>(bytes + kSpareBytes) / 1e6),
                "free some space on this disk, or keep fewer checkpoints");
  }
  files.make_directory(place.temporary());
}

CheckpointWriter::CheckpointWriter(FileSystem& files, const CheckpointPlace& place, int writer,
                                   std::string_view part)
    : files_(files),
      path_(join_path(place.temporary(),
                      fmt::format("shard-{:03}{}{}.h5", writer, part.empty() ? "" : "-", part))),
      hdf5_(files, path_) {}

void CheckpointWriter::add(const std::string& name, DType dtype, const std::vector<int64_t>& shape,
                           const Box& box, std::span<const std::byte> bytes) {
  check(name.find('[') == name.npos, "[checkpoint] '{}' is no name for a tensor", name);
  check(is_inside(box, shape), "[checkpoint] box {} of tensor '{}' is not inside {}",
        to_string(box), name, to_string(whole(shape)));
  const auto expected = static_cast<size_t>(box.volume() * size_of(dtype));
  check(bytes.size() == expected, "[checkpoint] box {} of tensor '{}' has {} bytes. Expected {}.",
        to_string(box), name, bytes.size(), expected);
  const auto [found, is_new] = tensors_.try_emplace(name, StoredTensor{dtype, shape, {}});
  check(is_new || (found->second.dtype == dtype && found->second.shape == shape),
        "[checkpoint] tensor '{}' comes with two dtypes or shapes", name);
  if (bytes.empty()) return;
  const std::string dataset = box == whole(shape) ? name : name + to_string(box);
  hdf5_.create(dataset, dtype, box.extent);
  hdf5_.write_rows(dataset, 0, bytes);
  found->second.boxes.push_back({0, dataset, box});
}

void CheckpointWriter::add_text(const std::string& name, std::string_view text) {
  const std::vector<int64_t> shape{static_cast<int64_t>(text.size())};
  add(name, DType::kU8, shape, whole(shape), std::as_bytes(std::span(text)));
}

ShardSummary CheckpointWriter::finish() {
  const uint64_t bytes = hdf5_.close();
  return {{base_name(path_), bytes, hash_file(files_, path_)}, std::move(tensors_)};
}

std::string commit_checkpoint(FileSystem& files, const CheckpointPlace& place,
                              std::vector<ShardSummary> shards, const CommitOptions& options) {
  const std::string temporary = place.temporary();
  const Manifest manifest = merge(std::move(shards), place.step, options.metadata);
  // Its last step syncs the directory, and so the names of all shards.
  write_file_atomically(files, join_path(temporary, kManifestFile), manifest.to_text());
  int64_t generation = 1;
  while (files.exists(join_path(place.root, step_name(place.step, generation)))) ++generation;
  const std::string name = step_name(place.step, generation);
  const std::string path = join_path(place.root, name);
  files.rename(temporary, path);
  files.sync_directory(place.root);
  replace_symlink(files, name, join_path(place.root, "last"));
  if (options.best) replace_symlink(files, name, join_path(place.root, "best"));
  prune(files, place.root, place.step, options);
  return path;
}

void abandon_checkpoint(FileSystem& files, const CheckpointPlace& place) {
  try {
    remove_if_ours(files, place.temporary());
  } catch (const Error&) {
    // The next save tries again; what made this one fail is what is worth telling.
  }
}

std::vector<CheckpointName> list_checkpoints(FileSystem& files, const std::string& root) {
  std::vector<CheckpointName> found;
  if (!files.is_directory(root)) return found;
  for (const std::string& name : files.list(root)) {
    std::optional<CheckpointName> parsed = parse_checkpoint_name(name);
    if (!parsed) continue;
    parsed->path = join_path(root, name);
    found.push_back(std::move(*parsed));
  }
  std::sort(found.begin(), found.end(), [](const CheckpointName& a, const CheckpointName& b) {
    return std::pair(a.step, a.generation) > std::pair(b.step, b.generation);
  });
  return found;
}

}  // namespace heddle
