#define H5_USE_110_API  // the names below mean the same in every later version
#include "framework/io/hdf5_file.h"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <mutex>
#include <utility>

namespace heddle {

namespace {

constexpr uint64_t kAlignment = 4096;
constexpr int kMostGroups = 8;  // groups within groups

// ---- HDF5 and its errors ----

// Held around every call: not every build of HDF5 allows threads. HDF5's own printing is off
// meanwhile.
class Session {
 public:
  Session() : lock_(mutex()) {
    H5Eget_auto2(H5E_DEFAULT, &print_, &print_data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Session() { H5Eset_auto2(H5E_DEFAULT, print_, print_data_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  static std::recursive_mutex& mutex() {
    // Everything is closed by its owner; what HDF5 loses on its own error paths is past help, and
    // tidying it up when the program ends would only print complaints.
    [[maybe_unused]] static const herr_t once = H5dont_atexit();
    static std::recursive_mutex only;
    return only;
  }
  std::lock_guard<std::recursive_mutex> lock_;
  H5E_auto2_t print_ = nullptr;
  void* print_data_ = nullptr;
};

// HDF5's own account of its last failure, from the inside out.
std::string library_text() {
  std::vector<std::string> lines;
  const auto collect = [](unsigned, const H5E_error2_t* error, void* into) -> herr_t {
    const char* text = error->desc != nullptr ? error->desc : "";
    static_cast<std::vector<std::string>*>(into)->push_back(
        fmt::format("{} ({})", text, error->func_name != nullptr ? error->func_name : "?"));
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &lines);
  if (lines.empty()) return "no reason given";
  // The first says what failed, the last what was asked for.
  return lines.size() == 1 ? lines[0] : fmt::format("{}; {}", lines.front(), lines.back());
}

// What HDF5 reads from and writes to. An exception cannot pass through HDF5, so the first one is
// kept here; after it, writing does nothing and succeeds, so that HDF5 can always clean up.
// HDF5 may keep a lost file open for ever, so it has a share in this, and none in the File.
struct Channel {
  explicit Channel(File* opened) : file(opened), path(opened->path()) {}

  File* file;  // null once its owner is done
  std::string path;
  std::exception_ptr failure = nullptr;

  template <typename Body>
  herr_t guard(Body&& body) {
    if (failure != nullptr || file == nullptr) return -1;
    try {
      body(*file);
      return 0;
    } catch (...) {
      failure = std::current_exception();
      return -1;
    }
  }
};

// Turns a failure of HDF5 into an exception.
class Checker {
 public:
  explicit Checker(const Channel& channel) : channel_(channel) {}

  template <typename Result>
  Result operator()(Result result, std::string_view call, std::string_view name = "") const {
    if (channel_.failure != nullptr) std::rethrow_exception(channel_.failure);
    if (result < 0) {
      const std::string what = name.empty() ? "" : fmt::format("dataset '{}': ", name);
      throw Error(ExitCode::kIo, fmt::format("{}: {}HDF5 {} failed: {}", channel_.path, what, call,
                                             library_text()));
    }
    return result;
  }

 private:
  const Channel& channel_;
};

class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() { close(); }

  operator hid_t() const { return id_; }
  herr_t close() { return id_ >= 0 ? close_(std::exchange(id_, -1)) : 0; }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

// ---- A driver that lets HDF5 work on a File ----

struct Driver {
  H5FD_t base;  // first: HDF5 knows only this part
  std::shared_ptr<Channel> channel;
  haddr_t end_of_space;
};

Driver* driver(H5FD_t* file) {
  return reinterpret_cast<Driver*>(file);
}
const Driver* driver(const H5FD_t* file) {
  return reinterpret_cast<const Driver*>(file);
}

H5FD_t* driver_open(const char*, unsigned, hid_t access, haddr_t) {
  const void* info = H5Pget_driver_info(access);
  if (info == nullptr) return nullptr;
  auto* opened = new (std::nothrow) Driver{};
  if (opened == nullptr) return nullptr;
  opened->channel = **static_cast<std::shared_ptr<Channel>* const*>(info);
  return &opened->base;
}

herr_t driver_close(H5FD_t* file) {
  delete driver(file);
  return 0;
}

herr_t driver_query(const H5FD_t*, unsigned long* flags) {
  *flags =
      H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_AGGREGATE_SMALLDATA;
  return 0;
}

haddr_t driver_end_of_space(const H5FD_t* file, H5FD_mem_t) {
  return driver(file)->end_of_space;
}

herr_t driver_set_end_of_space(H5FD_t* file, H5FD_mem_t, haddr_t end) {
  driver(file)->end_of_space = end;
  return 0;
}

haddr_t driver_end_of_file(const H5FD_t* file, H5FD_mem_t) {
  haddr_t size = 0;
  Channel& channel = *driver(file)->channel;
  // After a failure HDF5 shall believe that everything is there.
  if (channel.guard([&](File& opened) { size = opened.size(); }) < 0)
    return driver(file)->end_of_space;
  return size;
}

herr_t driver_read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, void* buffer) {
  Channel& channel = *driver(file)->channel;
  return channel.guard([&](File& opened) {
    const uint64_t end = opened.size();
    const auto there =
        address < end ? static_cast<size_t>(std::min<uint64_t>(size, end - address)) : 0;
    auto* bytes = static_cast<std::byte*>(buffer);
    opened.read_at(address, {bytes, there});
    std::memset(bytes + there, 0, size - there);  // space that HDF5 has and has not written yet
  });
}

herr_t driver_write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size,
                    const void* buffer) {
  Channel& channel = *driver(file)->channel;
  channel.guard([&](File& opened) {
    opened.write_at(address, {static_cast<const std::byte*>(buffer), size});
  });
  return 0;
}

herr_t driver_truncate(H5FD_t* file, hid_t, hbool_t) {
  Channel& channel = *driver(file)->channel;
  channel.guard([&](File& opened) {
    const haddr_t end = driver(file)->end_of_space;
    if (opened.size() != end) opened.truncate(end);
  });
  return 0;
}

hid_t driver_id() {
  static const hid_t id = [] {
    H5FD_class_t description{};
#if defined(H5FD_CLASS_VERSION)
    description.version = H5FD_CLASS_VERSION;
    description.value =
        static_cast<H5FD_class_value_t>(700);  // HDF5 leaves 512 and above to others
#endif
    description.name = "heddle";
    description.maxaddr = haddr_t{1} << 62;
    description.fc_degree = H5F_CLOSE_STRONG;
    description.fapl_size = sizeof(std::shared_ptr<Channel>*);
    description.open = driver_open;
    description.close = driver_close;
    description.query = driver_query;
    description.get_eoa = driver_end_of_space;
    description.set_eoa = driver_set_end_of_space;
    description.get_eof = driver_end_of_file;
    description.read = driver_read;
    description.write = driver_write;
    description.truncate = driver_truncate;
    std::fill(std::begin(description.fl_map), std::end(description.fl_map), H5FD_MEM_SUPER);
    return H5FDregister(&description);
  }();
  return id;
}

// How HDF5 shall open the file behind `channel`.
Handle access_list(std::shared_ptr<Channel>& channel) {
  const Checker check_call(*channel);
  std::shared_ptr<Channel>* const info = &channel;
  Handle access(check_call(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate"), H5Pclose);
  check_call(H5Pset_driver(access, driver_id(), &info), "H5Pset_driver");
  // The 1.8 format has checksums over its structure; the older one that is HDF5's default has not.
  check_call(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18), "H5Pset_libver_bounds");
  check_call(H5Pset_alignment(access, kAlignment, kAlignment), "H5Pset_alignment");
  return access;
}

// ---- Types ----

struct StoredType {
  DType dtype;
  hid_t id;
  bool is_marked;  // has an attribute "dtype": HDF5 has no such type
};

std::array<StoredType, 6> stored_types() {
  return {{{DType::kF32, H5T_IEEE_F32LE, false},
           {DType::kBF16, H5T_STD_U16LE, true},
           {DType::kF16, H5T_STD_U16LE, true},
           {DType::kI32, H5T_STD_I32LE, false},
           {DType::kI64, H5T_STD_I64LE, false},
           {DType::kU8, H5T_STD_U8LE, false}}};
}

StoredType stored_type(DType dtype) {
  for (const StoredType& type : stored_types()) {
    if (type.dtype == dtype) return type;
  }
  throw std::invalid_argument(fmt::format("HDF5 files have no dtype '{}'", name_of(dtype)));
}

constexpr const char* kMark = "dtype";

}  // namespace

// ---- Writing ----

struct Hdf5Writer::State {
  std::unique_ptr<File> file;
  std::shared_ptr<Channel> channel;
  Handle hdf5;  // open until sealed
  Hdf5Datasets datasets;

  explicit State(std::unique_ptr<File> opened)
      : file(std::move(opened)), channel(std::make_shared<Channel>(file.get())) {}
  ~State() {
    const Session session;
    hdf5.close();
    channel->file = nullptr;
  }

  Checker checker() const { return Checker(*channel); }

  // The groups on the way to `name`.
  void create_groups(const std::string& name) {
    const Checker check_call = checker();
    for (size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
      const std::string group = name.substr(0, slash);
      if (check_call(H5Lexists(hdf5, group.c_str(), H5P_DEFAULT), "H5Lexists", name) > 0) continue;
      const Handle how(check_call(H5Pcreate(H5P_GROUP_CREATE), "H5Pcreate", name), H5Pclose);
      check_call(H5Pset_obj_track_times(how, 0), "H5Pset_obj_track_times", name);
      const Handle made(check_call(H5Gcreate2(hdf5, group.c_str(), H5P_DEFAULT, how, H5P_DEFAULT),
                                   "H5Gcreate2", name),
                        H5Gclose);
    }
  }

  void mark(hid_t dataset, const std::string& name, std::string_view text) {
    const Checker check_call = checker();
    const Handle type(check_call(H5Tcopy(H5T_C_S1), "H5Tcopy", name), H5Tclose);
    check_call(H5Tset_size(type, text.size()), "H5Tset_size", name);
    const Handle space(check_call(H5Screate(H5S_SCALAR), "H5Screate", name), H5Sclose);
    const Handle attribute(
        check_call(H5Acreate2(dataset, kMark, type, space, H5P_DEFAULT, H5P_DEFAULT), "H5Acreate2",
                   name),
        H5Aclose);
    check_call(H5Awrite(attribute, type, text.data()), "H5Awrite", name);
  }
};

Hdf5Writer::Hdf5Writer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Hdf5Writer::~Hdf5Writer() = default;
Hdf5Writer::Hdf5Writer(Hdf5Writer&&) noexcept = default;
Hdf5Writer& Hdf5Writer::operator=(Hdf5Writer&&) noexcept = default;

Hdf5Writer::Hdf5Writer(FileSystem& files, const std::string& path)
    : state_(std::make_unique<State>(files.open(path, OpenMode::kCreate))) {
  const Session session;
  const Checker check_call = state_->checker();
  const Handle access = access_list(state_->channel);
  const Handle how(check_call(H5Pcreate(H5P_FILE_CREATE), "H5Pcreate"), H5Pclose);
  check_call(H5Pset_obj_track_times(how, 0), "H5Pset_obj_track_times");
  state_->hdf5 = Handle(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, how, access), H5Fclose);
  check_call(hid_t{state_->hdf5}, "H5Fcreate");
}

Hdf5Writer Hdf5Writer::reopen(FileSystem& files, const std::string& path) {
  Hdf5Datasets datasets = Hdf5Reader(files, path).datasets();
  auto state = std::make_unique<State>(files.open(path, OpenMode::kUpdate));
  state->datasets = std::move(datasets);
  return Hdf5Writer(std::move(state));
}

const Hdf5Datasets& Hdf5Writer::datasets() const {
  return state_->datasets;
}

void Hdf5Writer::create(const std::string& name, DType dtype, std::vector<int64_t> shape) {
  State& state = *state_;
  check(hid_t{state.hdf5} >= 0, "[Hdf5Writer] '{}' cannot be created: the file is sealed", name);
  check(!name.empty() && !name.starts_with('/') && !name.ends_with('/') &&
            name.find("//") == name.npos && !state.datasets.contains(name),
        "[Hdf5Writer] '{}' is no name for a new dataset", name);
  const Session session;
  const Checker check_call = state.checker();
  const StoredType type = stored_type(dtype);
  state.create_groups(name);

  const Handle how(check_call(H5Pcreate(H5P_DATASET_CREATE), "H5Pcreate", name), H5Pclose);
  check_call(H5Pset_layout(how, H5D_CONTIGUOUS), "H5Pset_layout", name);
  check_call(H5Pset_alloc_time(how, H5D_ALLOC_TIME_EARLY), "H5Pset_alloc_time", name);
  check_call(H5Pset_fill_time(how, H5D_FILL_TIME_NEVER), "H5Pset_fill_time", name);
  check_call(H5Pset_obj_track_times(how, 0), "H5Pset_obj_track_times", name);
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  const Handle space(check_call(shape.empty() ? H5Screate(H5S_SCALAR)
                                              : H5Screate_simple(static_cast<int>(extents.size()),
                                                                 extents.data(), nullptr),
                                "H5Screate", name),
                     H5Sclose);
  const Handle dataset(check_call(H5Dcreate2(state.hdf5, name.c_str(), type.id, space, H5P_DEFAULT,
                                             how, H5P_DEFAULT),
                                  "H5Dcreate2", name),
                       H5Dclose);
  if (type.is_marked) state.mark(dataset, name, name_of(dtype));

  Hdf5Dataset created{dtype, std::move(shape), 0, 0};
  created.bytes = static_cast<uint64_t>(volume(created.shape) * size_of(dtype));
  if (created.bytes > 0) {
    created.offset = H5Dget_offset(dataset);
    check_call(created.offset == HADDR_UNDEF ? -1 : 0, "H5Dget_offset", name);
  }
  state.datasets.emplace(name, std::move(created));
}

void Hdf5Writer::write_rows(const std::string& name, int64_t first_row,
                            std::span<const std::byte> bytes) {
  const auto found = state_->datasets.find(name);
  check(found != state_->datasets.end(), "[Hdf5Writer] there is no dataset '{}'", name);
  const Hdf5Dataset& dataset = found->second;
  const int64_t rows = dataset.shape.empty() ? 1 : dataset.shape[0];
  const uint64_t row_bytes = rows == 0 ? 0 : dataset.bytes / static_cast<uint64_t>(rows);
  const bool is_whole = row_bytes == 0 ? bytes.empty() : bytes.size() % row_bytes == 0;
  const auto count = static_cast<int64_t>(row_bytes == 0 ? 0 : bytes.size() / row_bytes);
  check(is_whole && first_row >= 0 && first_row <= rows && count <= rows - first_row,
        "[Hdf5Writer] '{}': {} bytes from row {} on. Expected at most {} rows of {} bytes.", name,
        bytes.size(), first_row, rows, row_bytes);
  if (bytes.empty()) return;
  state_->file->write_at(dataset.offset + static_cast<uint64_t>(first_row) * row_bytes, bytes);
}

void Hdf5Writer::seal() {
  if (hid_t{state_->hdf5} < 0) return;
  const Session session;
  const herr_t result = state_->hdf5.close();
  state_->checker()(result, "H5Fclose");
}

uint64_t Hdf5Writer::close() {
  seal();
  const uint64_t size = state_->file->size();
  state_->file->sync();
  state_->file->close();
  return size;
}

// ---- Reading ----

namespace {

// Opens a file of ours and lists its datasets, refusing everything that we do not write.
class Inspector {
 public:
  explicit Inspector(File& file)
      : channel_(std::make_shared<Channel>(&file)), check_call_(*channel_) {}
  ~Inspector() { channel_->file = nullptr; }
  Inspector(const Inspector&) = delete;
  Inspector& operator=(const Inspector&) = delete;

  Hdf5Datasets datasets() {
    const Session session;
    const Handle access = access_list(channel_);
    const Handle hdf5(H5Fopen(channel_->path.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
    check_call_(hid_t{hdf5}, "H5Fopen");
    file_bytes_ = channel_->file->size();
    visit(hdf5, "", 0);
    return std::move(datasets_);
  }

 private:
  struct Link {
    std::string name;
    H5L_type_t type;
  };

  [[noreturn]] void refuse(const std::string& name, std::string_view what) const {
    throw Error(ExitCode::kInput,
                fmt::format("{}: dataset '{}' {}. Heddle neither writes nor reads that.",
                            channel_->path, name, what));
  }

  void visit(hid_t group, const std::string& prefix, int depth) {
    if (depth > kMostGroups) refuse(prefix, "lies in too many groups");
    std::vector<Link> links;
    const auto collect = [](hid_t, const char* name, const H5L_info_t* info, void* into) -> herr_t {
      static_cast<std::vector<Link>*>(into)->push_back({name, info->type});
      return 0;
    };
    check_call_(H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &links),
                "H5Literate");
    for (const Link& link : links) {
      const std::string name = prefix + link.name;
      if (link.type == H5L_TYPE_SOFT) refuse(name, "is a soft link");
      if (link.type == H5L_TYPE_EXTERNAL) refuse(name, "is an external link");
      if (link.type != H5L_TYPE_HARD) refuse(name, "is a user-defined link");
      const Handle object(
          check_call_(H5Oopen(group, link.name.c_str(), H5P_DEFAULT), "H5Oopen", name), H5Oclose);
      H5O_info_t info;
      check_call_(H5Oget_info2(object, &info, H5O_INFO_BASIC), "H5Oget_info2", name);
      if (info.rc != 1) refuse(name, "has a second name");
      if (info.type == H5O_TYPE_GROUP) {
        visit(object, name + "/", depth + 1);
      } else if (info.type == H5O_TYPE_DATASET) {
        datasets_.emplace(name, describe(object, name));
      } else {
        refuse(name, "is neither group nor dataset");
      }
    }
  }

  Hdf5Dataset describe(hid_t dataset, const std::string& name) {
    const Handle how(check_call_(H5Dget_create_plist(dataset), "H5Dget_create_plist", name),
                     H5Pclose);
    const H5D_layout_t layout = check_call_(H5Pget_layout(how), "H5Pget_layout", name);
    if (layout == H5D_VIRTUAL) refuse(name, "is virtual");
    if (layout != H5D_CONTIGUOUS) refuse(name, "is not contiguous");
    if (check_call_(H5Pget_nfilters(how), "H5Pget_nfilters", name) != 0)
      refuse(name, "has a filter");
    if (check_call_(H5Pget_external_count(how), "H5Pget_external_count", name) != 0) {
      refuse(name, "lies in an external file");
    }
    Hdf5Dataset found;
    found.dtype = dtype_of_dataset(dataset, name);
    found.shape = shape_of(dataset, name);
    found.bytes = static_cast<uint64_t>(size_of(found.dtype));
    for (const int64_t extent : found.shape) {
      if (__builtin_mul_overflow(found.bytes, static_cast<uint64_t>(extent), &found.bytes)) {
        refuse(name, "has too many elements");
      }
    }
    if (found.bytes == 0) return found;
    found.offset = H5Dget_offset(dataset);
    if (found.offset == HADDR_UNDEF) refuse(name, "has no data");
    if (found.offset > file_bytes_ || found.bytes > file_bytes_ - found.offset) {
      refuse(name, "lies outside the file");
    }
    return found;
  }

  std::vector<int64_t> shape_of(hid_t dataset, const std::string& name) {
    const Handle space(check_call_(H5Dget_space(dataset), "H5Dget_space", name), H5Sclose);
    if (H5Sget_simple_extent_type(space) == H5S_NULL) refuse(name, "has no shape");
    const int axes =
        check_call_(H5Sget_simple_extent_ndims(space), "H5Sget_simple_extent_ndims", name);
    std::vector<hsize_t> extents(static_cast<size_t>(axes));
    std::vector<hsize_t> most(static_cast<size_t>(axes));
    check_call_(H5Sget_simple_extent_dims(space, extents.data(), most.data()),
                "H5Sget_simple_extent_dims", name);
    if (extents != most) refuse(name, "can grow");
    for (const hsize_t extent : extents) {
      if (extent >> 62 != 0) refuse(name, "has too many elements");
    }
    return {extents.begin(), extents.end()};
  }

  DType dtype_of_dataset(hid_t dataset, const std::string& name) {
    const Handle type(check_call_(H5Dget_type(dataset), "H5Dget_type", name), H5Tclose);
    if (check_call_(H5Tcommitted(type), "H5Tcommitted", name) > 0) refuse(name, "has a named type");
    const std::string mark = mark_of(dataset, name);
    for (const StoredType& known : stored_types()) {
      if (check_call_(H5Tequal(type, known.id), "H5Tequal", name) <= 0) continue;
      if (mark == (known.is_marked ? name_of(known.dtype) : "")) return known.dtype;
    }
    refuse(name, "has a type other than f32, bf16, f16, i32, i64 and u8");
  }

  // The attribute "dtype"; "" if there is none.
  std::string mark_of(hid_t dataset, const std::string& name) {
    if (check_call_(H5Aexists(dataset, kMark), "H5Aexists", name) <= 0) return "";
    const Handle attribute(check_call_(H5Aopen(dataset, kMark, H5P_DEFAULT), "H5Aopen", name),
                           H5Aclose);
    const Handle type(check_call_(H5Aget_type(attribute), "H5Aget_type", name), H5Tclose);
    const size_t size = H5Tget_size(type);
    const bool is_text = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0;
    if (!is_text || size > 8 || H5Aget_storage_size(attribute) != size) {
      refuse(name, "has an unknown mark");
    }
    std::string text(size, '\0');
    check_call_(H5Aread(attribute, type, text.data()), "H5Aread", name);
    return text;
  }

  std::shared_ptr<Channel> channel_;
  Checker check_call_;
  uint64_t file_bytes_ = 0;
  Hdf5Datasets datasets_;
};

}  // namespace

Hdf5Reader::Hdf5Reader(FileSystem& files, const std::string& path)
    : Hdf5Reader(files.open(path, OpenMode::kRead)) {}

Hdf5Reader::Hdf5Reader(std::unique_ptr<File> file)
    : file_(std::move(file)), datasets_(Inspector(*file_).datasets()) {}

}  // namespace heddle
