// How data leaves an HDF5 file: from the place that HDF5 named, without HDF5.
#include "framework/core/nearest_name.h"
#include "framework/io/hdf5_file.h"
#include "framework/io/run_reader.h"

namespace heddle {

const Hdf5Dataset& Hdf5Reader::at(const std::string& name) const {
  const auto found = datasets_.find(name);
  if (found != datasets_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, dataset] : datasets_) names.push_back(known);
  throw Error(ExitCode::kInput, fmt::format("{}: has no dataset '{}'", file_->path(), name),
              did_you_mean(name, names));
}

void Hdf5Reader::check_boxes(const std::string& name, const Box& stored, const Box& wanted) const {
  check(stored.extent == at(name).shape && wanted.extent.size() == stored.extent.size(),
        "[Hdf5Reader] '{}' is asked for {} of {}", name, to_string(wanted), to_string(stored));
}

void Hdf5Reader::read(const std::string& name, const Box& stored, const Box& wanted,
                      std::span<std::byte> target) const {
  check_boxes(name, stored, wanted);
  const Hdf5Dataset& dataset = at(name);
  const auto element_bytes = static_cast<size_t>(size_of(dataset.dtype));
  check(target.size() == static_cast<size_t>(wanted.volume()) * element_bytes,
        "[Hdf5Reader] '{}': {} needs {} bytes, not {}", name, to_string(wanted),
        static_cast<size_t>(wanted.volume()) * element_bytes, target.size());
  const std::optional<Box> common = intersection(stored, wanted);
  if (!common) return;
  RunReader reader(*file_, dataset.offset, element_bytes, target);
  for_each_run(stored, wanted, *common, [&](BoxRun run) { reader.add(run); });
  reader.flush();
}

void Hdf5Reader::read(const std::string& name, const Box& wanted,
                      std::span<std::byte> target) const {
  const Hdf5Dataset& dataset = at(name);
  check(is_inside(wanted, dataset.shape), "[Hdf5Reader] '{}' holds {}, not {}", name,
        to_string(whole(dataset.shape)), to_string(wanted));
  read(name, whole(dataset.shape), wanted, target);
}

std::shared_ptr<const std::byte> Hdf5Reader::hold(const std::string& name, const Box& stored,
                                                  const Box& wanted) const {
  check_boxes(name, stored, wanted);
  if (intersection(stored, wanted) != wanted) return nullptr;
  int64_t runs = 0, first = 0;
  for_each_run(stored, wanted, wanted, [&](BoxRun run) {
    if (runs++ == 0) first = run.source;
  });
  if (runs != 1) return nullptr;
  const Hdf5Dataset& dataset = at(name);
  const auto element_bytes = static_cast<uint64_t>(size_of(dataset.dtype));
  const uint64_t offset = dataset.offset + static_cast<uint64_t>(first) * element_bytes;
  if (offset % element_bytes != 0) return nullptr;
  if (mapping_ == nullptr) mapping_ = file_->map();
  return heddle::hold(
      mapping_,
      mapping_->bytes().subspan(offset, static_cast<uint64_t>(wanted.volume()) * element_bytes));
}

}  // namespace heddle
