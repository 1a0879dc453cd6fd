// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "trainers/datasets/dataset.h"
#include "trainers/datasets/idx_format.h"

// MNIST's test files: LeCun, Cortes, Burges. The training files are not packaged anywhere, so that the 10,000
// images are cut in two, in file order: a small real data set for quick studies. Accuracies on it are not
// comparable with published ones.

namespace mcufit {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 2> kFiles{"t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"};
constexpr std::int64_t kTrainSamples = 8000;

class Mnist : public Dataset {
 public:
  std::string_view name() const override { return "mnist_10k"; }
  Shape shape() const override { return {28, 28, 1}; }

  std::span<const std::string_view> classes() const override {
    static constexpr std::array<std::string_view, 10> kClasses{"0", "1", "2", "3", "4",
                                                               "5", "6", "7", "8", "9"};
    return kClasses;
  }

  Samples train(const fs::path& folder) const override { return part(folder, 0, kTrainSamples); }
  Samples test(const fs::path& folder) const override { return part(folder, kTrainSamples, -1); }

  std::string sha256(const fs::path& folder) const override {
    std::string all;
    for (const char* name : kFiles) all += read_file(found(folder, name));
    return mcufit::sha256(all);
  }

 private:
  static fs::path found(const fs::path& folder, const char* name) {
    fs::path path = (folder.empty() ? data_folder() / "mnist" : folder) / name;
    if (fs::exists(path)) return path;
    throw Error(ExitCode::input, fmt::format("{}: no such file; put MNIST's t10k files into a folder 'mnist' "
                                             "and name its parent in MCUFIT_DATA, "
                                             "or name the folder in the job (data/folder)",
                                             path.string()));
  }

  // Samples [first, end), all that follow where end is -1.
  Samples part(const fs::path& folder, std::int64_t first, std::int64_t end) const {
    const fs::path images = found(folder, kFiles[0]);
    const Samples all =
        read_idx(images, found(folder, kFiles[1]), shape(), static_cast<std::int32_t>(classes().size()));
    if (end < 0) end = all.size();
    if (end > all.size() || first >= end) {
      throw Error(ExitCode::input, fmt::format("{}: found {} images; accepted: more than {}", images.string(),
                                               all.size(), kTrainSamples));
    }
    Samples cut;
    cut.shape = all.shape;
    const std::int64_t n = all.shape.elements();
    cut.values.assign(all.values.begin() + first * n, all.values.begin() + end * n);
    cut.labels.assign(all.labels.begin() + first, all.labels.begin() + end);
    return cut;
  }
};

}  // namespace

const Dataset& make_dataset_mnist() {
  static const Mnist dataset;
  return dataset;
}

}  // namespace mcufit
