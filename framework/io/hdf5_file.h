// HDF5 files of plain arrays, for checkpoints and features; `h5ls`, `h5dump` and h5py open them.
//
//   Hdf5Writer out(files, "features.h5");
//   out.create("features", DType::kF32, {rows, 384});
//   out.create("row", DType::kI64, {rows});
//   out.seal();                                          // the structure is complete
//   out.write_rows("features", first, bytes);            // any number of times
//   out.close();                                         // on the disk
//
//   Hdf5Reader in(files, "features.h5");
//   in.read("features", Box{{10, 0}, {5, 384}}, bytes);
//
// A dataset is one contiguous array, little-endian, from a multiple of 4096 if it has as many
// bytes; nothing is chunked, compressed, filled or dated, so equal content gives equal files. bf16
// and f16 are stored as u16 with an attribute "dtype". HDF5 keeps the structure; data goes between
// the caller and the file directly, at the place that HDF5 assigned.
//
// The reader takes nothing else: links other than plain ones, shared objects, external or virtual
// storage, filters, other layouts or types and data outside the file are refused. HDF5 itself is
// not safe on files that someone prepared or a disk damaged: check a fingerprint first.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/core/dtype.h"
#include "framework/io/box.h"
#include "framework/io/file_system.h"

namespace heddle {

struct Hdf5Dataset {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // in the file
  uint64_t bytes = 0;
};

// By path, such as "weights/bert.pooler.dense.bias".
using Hdf5Datasets = std::map<std::string, Hdf5Dataset>;

// Not to be used by two threads at once; two writers may. Errors are Error(kIo) with path, dataset
// and HDF5's own text, or the FileError behind it.
class Hdf5Writer {
 public:
  // A new file; it must not exist.
  Hdf5Writer(FileSystem& files, const std::string& path);
  ~Hdf5Writer();  // without `close` before, the file may be anything
  Hdf5Writer(Hdf5Writer&&) noexcept;
  Hdf5Writer& operator=(Hdf5Writer&&) noexcept;

  // An existing, sealed file, to write more rows into.
  static Hdf5Writer reopen(FileSystem& files, const std::string& path);

  // A dataset; its content is zero until it is written. '/' in the name makes groups.
  void create(const std::string& name, DType dtype, std::vector<int64_t> shape);
  // Rows of a dataset (elements along its first axis) from `first_row` on; the whole of a scalar.
  void write_rows(const std::string& name, int64_t first_row, std::span<const std::byte> bytes);
  // No `create` after it. The file is complete but for rows not yet written, and not synced.
  void seal();
  // Seals, syncs and closes. Returns the size of the file.
  uint64_t close();

  const Hdf5Datasets& datasets() const;

 private:
  struct State;
  explicit Hdf5Writer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Hdf5Reader {
 public:
  // Checks every dataset. Throws Error(kInput) "PATH: dataset 'x' ..." on what it refuses.
  Hdf5Reader(FileSystem& files, const std::string& path);
  // The same for a file that is open already.
  explicit Hdf5Reader(std::unique_ptr<File> file);

  const Hdf5Datasets& datasets() const { return datasets_; }
  const Hdf5Dataset& at(const std::string& name) const;
  // Copies `wanted` of a dataset that holds `stored` of some tensor: their common part goes to its
  // place in `target`, which holds the elements of `wanted` in row-major order.
  void read(const std::string& name, const Box& stored, const Box& wanted,
            std::span<std::byte> target) const;
  // Copies a part of the dataset.
  void read(const std::string& name, const Box& wanted, std::span<std::byte> target) const;
  // The elements of `wanted` of a dataset that holds `stored` of some tensor, as they lie in the
  // file, mapped as long as they are held (file_system.h); null if they do not all lie together
  // there, or are not aligned.
  std::shared_ptr<const std::byte> hold(const std::string& name, const Box& stored,
                                        const Box& wanted) const;

 private:
  void check_boxes(const std::string& name, const Box& stored, const Box& wanted) const;

  std::unique_ptr<File> file_;
  Hdf5Datasets datasets_;
  mutable std::shared_ptr<const Mapping> mapping_;  // null until something is held
};

}  // namespace heddle
