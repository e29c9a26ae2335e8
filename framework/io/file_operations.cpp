// What `file_system.h` offers on top of any FileSystem.
#include <cerrno>

#include "framework/io/file_system.h"

namespace heddle {

namespace {

// Runs `body`; on any exception removes `path` as well as it can and lets the exception go on.
template <typename Body>
void or_remove(FileSystem& files, const std::string& path, Body&& body) {
  try {
    body();
  } catch (...) {
    try {
      files.remove(path);
    } catch (const Error&) {
      // The first failure is the one to tell.
    }
    throw;
  }
}

std::string temporary_beside(const std::string& path) {
  return join_path(parent_path(path), fmt::format(".{}.tmp", base_name(path)));
}

}  // namespace

std::string join_path(std::string_view directory, std::string_view name) {
  if (directory.empty() || name.starts_with('/')) return std::string(name);
  return fmt::format("{}{}{}", directory, directory.ends_with('/') ? "" : "/", name);
}

std::string parent_path(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string base_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::string read_file(FileSystem& files, const std::string& path, uint64_t limit) {
  const std::unique_ptr<File> file = files.open(path, OpenMode::kRead);
  const uint64_t size = file->size();
  if (size > limit) {
    throw Error(ExitCode::kInput,
                fmt::format("{}: has {} bytes. Expected at most {}.", path, size, limit));
  }
  std::string content(size, '\0');
  file->read_at(0, std::as_writable_bytes(std::span(content)));
  return content;
}

void write_atomically(FileSystem& files, const std::string& path,
                      const std::function<void(File&)>& write) {
  const std::string temporary = temporary_beside(path);
  if (files.exists(temporary)) files.remove(temporary);  // a run that died here left it
  or_remove(files, temporary, [&] {
    const std::unique_ptr<File> file = files.open(temporary, OpenMode::kCreate);
    write(*file);
    file->sync();
    file->close();
    files.rename(temporary, path);
  });
  files.sync_directory(parent_path(path));
}

void write_file_atomically(FileSystem& files, const std::string& path, std::string_view content) {
  write_atomically(files, path,
                   [&](File& file) { file.write_at(0, std::as_bytes(std::span(content))); });
}

void require_writable(FileSystem& files, const std::string& path) {
  const std::string folder = parent_path(path);
  if (!files.is_directory(folder)) {
    throw Error(ExitCode::kInput, fmt::format("{}: there is no folder {}", path, folder),
                "make it first, or name another");
  }
  const std::string temporary = temporary_beside(path);
  if (files.exists(temporary)) files.remove(temporary);
  files.open(temporary, OpenMode::kCreate)->close();
  files.remove(temporary);
}

void write_new_file(FileSystem& files, const std::string& path, std::string_view content) {
  const std::unique_ptr<File> file = files.open(path, OpenMode::kCreate);
  file->write_at(0, std::as_bytes(std::span(content)));
  file->sync();
  file->close();
}

void replace_symlink(FileSystem& files, const std::string& target, const std::string& path) {
  const std::string temporary = temporary_beside(path);
  if (files.exists(temporary)) files.remove(temporary);
  files.make_symlink(target, temporary);
  or_remove(files, temporary, [&] { files.rename(temporary, path); });
  files.sync_directory(parent_path(path));
}

void make_directories(FileSystem& files, const std::string& path) {
  if (files.exists(path)) return;  // if it is no directory, what follows in it says so
  const std::string parent = parent_path(path);
  if (parent != path) make_directories(files, parent);
  try {
    files.make_directory(path);
  } catch (const FileError& error) {
    if (error.error_number() != EEXIST) throw;  // another process was faster
  }
  try {
    files.sync_directory(parent);
  } catch (const FileError& error) {
    if (error.error_number() != EACCES) throw;  // a parent that may be entered and not read
  }
}

std::string follow_links(FileSystem& files, std::string path) {
  constexpr int kMost = 40;  // as the kernel follows
  for (int i = 0; files.kind(path) == FileKind::kSymlink; ++i) {
    if (i == kMost) throw FileError(path, "open", ELOOP);
    path = join_path(parent_path(path), files.read_symlink(path));
  }
  return path;
}

void remove_tree(FileSystem& files, const std::string& path) {
  const FileKind kind = files.kind(path);
  if (kind == FileKind::kMissing) return;
  if (kind == FileKind::kDirectory) {
    for (const std::string& name : files.list(path)) remove_tree(files, join_path(path, name));
  }
  files.remove(path);
}

}  // namespace heddle
