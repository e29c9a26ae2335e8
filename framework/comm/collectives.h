// Collectives on values and texts, on top of the spans of Communicator.
//
//   const int64_t rows = all_reduce(world, local_rows, Reduction::kSum, "rows");
//   const std::string config = broadcast_text(world, text_on_rank_0, 0);
//   for (const std::string& line : gather_text(world, mine, 0)) ...
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "framework/comm/communicator.h"

namespace heddle {

// The combined value; T is float, double or int64_t.
template <typename T>
T all_reduce(Communicator& group, T value, Reduction op, std::string_view name = "") {
  group.all_reduce(std::span<T>(&value, 1), op, name);
  return value;
}

// Root's value.
template <typename T>
T broadcast(Communicator& group, T value, int root, std::string_view name = "") {
  static_assert(std::is_trivially_copyable_v<T>);
  group.broadcast(std::as_writable_bytes(std::span<T>(&value, 1)), root, name);
  return value;
}

// Everyone's value, by rank.
template <typename T>
std::vector<T> all_gather(Communicator& group, const T& value, std::string_view name = "") {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> all(static_cast<size_t>(group.size()));
  group.all_gather(std::as_bytes(std::span<const T>(&value, 1)),
                   std::as_writable_bytes(std::span<T>(all)), name);
  return all;
}

// Root's text.
inline std::string broadcast_text(Communicator& group, std::string text, int root,
                                  std::string_view name = "") {
  text.resize(broadcast(group, text.size(), root, name));
  group.broadcast(std::as_writable_bytes(std::span<char>(text)), root, name);
  return text;
}

namespace detail {
inline std::vector<std::string> to_texts(const std::vector<Bytes>& parts) {
  std::vector<std::string> texts;
  for (const Bytes& part : parts) {
    texts.emplace_back(reinterpret_cast<const char*>(part.data()), part.size());
  }
  return texts;
}
}  // namespace detail

// Everyone's text by rank, on root; nothing elsewhere.
inline std::vector<std::string> gather_text(Communicator& group, std::string_view mine, int root,
                                            std::string_view name = "") {
  return detail::to_texts(group.gather_v(std::as_bytes(std::span<const char>(mine)), root, name));
}

// Everyone's text by rank, everywhere.
inline std::vector<std::string> all_gather_text(Communicator& group, std::string_view mine,
                                                std::string_view name = "") {
  return detail::to_texts(group.all_gather_v(std::as_bytes(std::span<const char>(mine)), name));
}

}  // namespace heddle
