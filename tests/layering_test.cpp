// Who may include whom (A <- B: B may include A):
//   framework <- models <- datasets <- trainer <- launcher
//   device <- core <- autograd <- ops <- nn <- parallel <- optim
//   core <- comm <- parallel     core <- io     nn <- io
// and where each third-party header may be included.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

const fs::path kRoot = HEDDLE_SOURCE_DIR;

struct Include {
  std::string file;    // relative to the root
  std::string target;  // as written
};

std::vector<std::string> sources() {
  std::vector<std::string> found;
  for (const char* top : {"framework", "models", "datasets", "trainer", "launcher"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / top)) {
      const std::string ending = entry.path().extension();
      if (ending == ".h" || ending == ".cpp" || ending == ".cu" || ending == ".cuh") {
        found.push_back(fs::relative(entry.path(), kRoot));
      }
    }
  }
  std::ranges::sort(found);
  return found;
}

std::string read(const std::string& file) {
  std::ifstream in(kRoot / file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<Include> includes() {
  static const std::regex pattern(R"re(^\s*#\s*include\s*[<"]([^>"]+)[>"])re");
  std::vector<Include> found;
  for (const std::string& file : sources()) {
    std::istringstream lines(read(file));
    for (std::string line; std::getline(lines, line);) {
      std::smatch match;
      if (std::regex_search(line, match, pattern)) found.push_back({file, match[1]});
    }
  }
  return found;
}

std::string part(const std::string& path, int depth) {
  const fs::path whole(path);
  auto it = whole.begin();
  for (int i = 0; i < depth; ++i) ++it;
  return it->string();
}

bool is_ours(const std::string& target) {
  return fs::exists(kRoot / target);
}

TEST(Layering, TopFoldersIncludeOnlyWhatIsBelow) {
  const std::map<std::string, int> level = {
      {"framework", 0}, {"models", 1}, {"datasets", 2}, {"trainer", 3}, {"launcher", 4}};
  for (const Include& include : includes()) {
    if (!is_ours(include.target)) continue;
    const std::string from = part(include.file, 0);
    const std::string to = part(include.target, 0);
    ASSERT_TRUE(level.contains(to)) << include.file << " includes " << include.target;
    EXPECT_LE(level.at(to), level.at(from)) << include.file << " includes " << include.target;
  }
}

TEST(Layering, FrameworkFoldersIncludeOnlyWhatIsBelow) {
  const std::map<std::string, std::set<std::string>> below = {
      {"device", {}},
      {"core", {"device"}},
      {"autograd", {"core", "device"}},
      {"ops", {"autograd", "core", "device"}},
      {"nn", {"ops", "autograd", "core", "device"}},
      {"comm", {"core", "device"}},
      {"parallel", {"nn", "ops", "autograd", "comm", "core", "device"}},
      {"optim", {"parallel", "nn", "ops", "autograd", "comm", "core", "device"}},
      {"io", {"nn", "ops", "autograd", "core", "device"}}};
  for (const Include& include : includes()) {
    if (part(include.file, 0) != "framework" || !is_ours(include.target)) continue;
    const std::string from = part(include.file, 1);
    const std::string to = part(include.target, 1);
    if (from == to) continue;
    EXPECT_TRUE(below.at(from).contains(to)) << include.file << " includes " << include.target;
  }
}

TEST(Layering, ThirdPartyHeadersHaveOneDoorman) {
  // A header and the files that may include it, by the start of their path.
  const std::vector<std::pair<std::regex, std::regex>> doors = {
      {std::regex("^mpi\\.h$"), std::regex("^framework/comm/[a-z_]*\\.cpp$")},
      {std::regex("^hdf5\\.h$|^H5.*"), std::regex("^framework/io/hdf5[a-z0-9_]*\\.cpp$")},
      {std::regex("^yaml-cpp/.*"), std::regex("^trainer/config/yaml[a-z_]*\\.cpp$")},
      {std::regex("^nlohmann/.*"), std::regex("^framework/io/json\\.(h|cpp)$")},
      {std::regex("^xxhash\\.h$"), std::regex("^framework/io/hash\\.cpp$")},
      {std::regex("^oneapi/dnnl/.*|^dnnl.*"),
       std::regex("^framework/ops/detail/gemm_[a-z0-9]*\\.(h|cpp)$")},
      {std::regex("^unicode/.*"), std::regex("^models/tokenizers/unicode\\.cpp$")},
      {std::regex("^zlib\\.h$"), std::regex("^datasets/gzip[a-z_]*\\.cpp$")},
      {std::regex("^zstd\\.h$"), std::regex("^datasets/zstd[a-z_]*\\.cpp$")},
      {std::regex("^CLI/.*"), std::regex("^launcher/[a-z_]*\\.(h|cpp)$")}};
  for (const Include& include : includes()) {
    for (const auto& [header, doorman] : doors) {
      if (!std::regex_match(include.target, header)) continue;
      EXPECT_TRUE(std::regex_match(include.file, doorman))
          << include.file << " includes " << include.target;
    }
  }
}

TEST(Layering, ModelsKnowNoRankAndNoDevice) {
  static const std::regex words("rank|world|HEDDLE_CUDA|#\\s*if");
  for (const std::string& file : sources()) {
    if (part(file, 0) != "models") continue;
    std::istringstream lines(read(file));
    int number = 0;
    for (std::string line; std::getline(lines, line);) {
      ++number;
      EXPECT_FALSE(std::regex_search(line, words)) << file << ":" << number << ": " << line;
    }
  }
}

TEST(Layering, SourcesAreFound) {
  EXPECT_GT(sources().size(), 50u);
}

}  // namespace
