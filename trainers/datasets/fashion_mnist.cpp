// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "trainers/datasets/dataset.h"
#include "trainers/datasets/idx_format.h"

// Fashion-MNIST: Xiao, Rasul, Vollgraf, 2017; MIT licence. 60,000 + 10,000 grey images of 28x28, from
// Debian's package.

namespace mcufit {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 4> kFiles{"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
                                            "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"};

class FashionMnist : public Dataset {
 public:
  std::string_view name() const override { return "fashion_mnist"; }
  Shape shape() const override { return {28, 28, 1}; }

  std::span<const std::string_view> classes() const override {
    static constexpr std::array<std::string_view, 10> kClasses{
        "T-shirt/top", "trouser", "pullover", "dress", "coat",
        "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"};
    return kClasses;
  }

  Samples train(const fs::path& folder) const override { return read(folder, 0); }
  Samples test(const fs::path& folder) const override { return read(folder, 2); }

  std::string sha256(const fs::path& folder) const override {
    std::string all;
    for (const char* name : kFiles) all += read_file(found(folder, name));
    return mcufit::sha256(all);
  }

 private:
  static fs::path found(const fs::path& folder, const char* name) {
    fs::path path = (folder.empty() ? fs::path("/usr/share/datasets/fashion-mnist") : folder) / name;
    if (fs::exists(path)) return path;
    throw Error(
        ExitCode::input,
        fmt::format("{}: no such file; Fashion-MNIST comes with `apt-get install dataset-fashion-mnist`, "
                    "or name its folder in the job (data/folder)",
                    path.string()));
  }

  Samples read(const fs::path& folder, std::size_t first) const {
    return read_idx(found(folder, kFiles[first]), found(folder, kFiles[first + 1]), shape(),
                    static_cast<std::int32_t>(classes().size()));
  }
};

}  // namespace

const Dataset& make_dataset_fashion_mnist() {
  static const FashionMnist dataset;
  return dataset;
}

}  // namespace mcufit
