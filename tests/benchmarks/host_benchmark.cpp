// SPDX-License-Identifier: Apache-2.0
// How fast this machine evaluates the shared models: the fast interpreter and the interpreter that judges it.
// Run by `./dev bench-host [IMAGES]`; data are looked for in MCUFIT_DATA.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iostream>
#include <string>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/random.h"
#include "blocks/foundation/subprocess.h"
#include "cost-models/count.h"
#include "exporters/fast_interpreter.h"
#include "exporters/interpreter.h"
#include "exporters/tflite/import.h"

namespace mcufit {
namespace {

using Bytes = std::vector<std::int8_t>;
using Evaluate = std::function<std::vector<Bytes>(std::span<const Bytes>)>;

constexpr std::size_t kInterpretedImages = 100;  // the judge is slow

struct Images {
  std::vector<Bytes> pixels;
  std::vector<std::uint8_t> labels;  // empty where the pixels are random
};

// Records of a label and 3 planes of 32x32; the model takes pixel - 128, channels innermost.
Images cifar10(const std::filesystem::path& file, std::size_t most) {
  constexpr std::size_t kPlane = 1024, kRecord = 1 + 3 * kPlane;
  Command unpack;
  unpack.program = "xz";
  unpack.arguments = {"--decompress", "--stdout", file.string()};
  const std::string content = run(unpack).out;
  Images images;
  for (std::size_t at = 0; at + kRecord <= content.size() && images.labels.size() < most; at += kRecord) {
    images.labels.push_back(static_cast<std::uint8_t>(content[at]));
    Bytes pixels(3 * kPlane);
    for (std::size_t i = 0; i < pixels.size(); ++i)
      pixels[i] =
          static_cast<std::int8_t>(static_cast<std::uint8_t>(content[at + 1 + i % 3 * kPlane + i / 3]) - 128);
    images.pixels.push_back(std::move(pixels));
  }
  return images;
}

Images random_images(const QuantizedGraph& graph, std::size_t count) {
  Images images;
  Random random(1);
  images.pixels.assign(count, Bytes(static_cast<std::size_t>(graph.graph.input_shape().elements())));
  for (Bytes& pixels : images.pixels)
    for (auto& value : pixels) value = static_cast<std::int8_t>(random.between(-128, 127));
  return images;
}

std::vector<Bytes> measure(const char* what, const QuantizedGraph& graph, std::span<const Bytes> inputs,
                           const Evaluate& evaluate) {
  const std::clock_t cpu_before = std::clock();
  const auto before = std::chrono::steady_clock::now();
  auto outputs = evaluate(inputs);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
  const double cpu = static_cast<double>(std::clock() - cpu_before) / CLOCKS_PER_SEC;
  const auto images = static_cast<double>(inputs.size());
  const auto macs = static_cast<double>(count(graph.graph).macs) * images;
  std::cout << fmt::format("  {:<12} {:>7} {:>9.3f} {:>9.3f} {:>11.0f} {:>8.2f} {:>17.2f}\n", what,
                           inputs.size(), seconds, cpu, images / seconds, macs / seconds / 1e9,
                           macs / cpu / 1e9);
  return outputs;
}

void print_accuracy(const std::vector<Bytes>& outputs, const std::vector<std::uint8_t>& labels) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i)
    right += std::max_element(outputs[i].begin(), outputs[i].end()) - outputs[i].begin() == labels[i];
  std::cout << fmt::format(
      "  accuracy of ic on {} images of CIFAR-10's data_batch_5: {:.2f} % (the model was trained on them)\n",
      labels.size(), 100 * static_cast<double>(right) / static_cast<double>(labels.size()));
}

void benchmark(const std::string& name, const std::string& file, std::size_t images) {
  const auto path = data_folder() / "mlperf-tiny" / file;
  if (!std::filesystem::exists(path)) {
    std::cout << fmt::format("{}: {} is not there; MCUFIT_DATA names its folder\n", name, path.string());
    return;
  }
  const QuantizedGraph graph = import_tflite(read_file(path), name);
  const auto batch = data_folder() / "cifar10" / "data_batch_5.bin.xz";
  const bool real = name == "ic" && std::filesystem::exists(batch) && find_program("xz");
  const Images inputs = real ? cifar10(batch, images) : random_images(graph, images);
  std::cout << fmt::format("{}: {} MACs\n", name, count(graph.graph).macs);
  const auto fast = measure("fast", graph, inputs.pixels,
                            [&](std::span<const Bytes> x) { return FastInterpreter(graph).run_all(x); });
  const auto few = std::span(inputs.pixels).first(std::min(kInterpretedImages, inputs.pixels.size()));
  const auto slow =
      measure("interpreter", graph, few, [&](std::span<const Bytes> x) { return interpret_all(graph, x); });
  if (!std::equal(slow.begin(), slow.end(), fast.begin()))
    throw Error(ExitCode::validation_mismatch, name + ": the fast interpreter's bytes differ");
  if (real) print_accuracy(fast, inputs.labels);
}

}  // namespace
}  // namespace mcufit

int main(int argc, char** argv) {
  const int images = argc > 1 ? std::atoi(argv[1]) : 10'000;
  if (images < 1) {
    std::cerr << "usage: host_benchmark [IMAGES]\n";
    return static_cast<int>(mcufit::ExitCode::usage);
  }
  try {
    std::cout << "  what          images    wall s     CPU s    images/s   GMAC/s  GMAC per CPU s\n";
    mcufit::benchmark("ic", "ic_resnet8_int8.tflite", static_cast<std::size_t>(images));
    mcufit::benchmark("kws", "kws_dscnn_int8.tflite", static_cast<std::size_t>(images));
    mcufit::benchmark("ad", "ad_fc_autoencoder_int8.tflite", static_cast<std::size_t>(images));
    return 0;
  } catch (const mcufit::Error& error) {
    std::cerr << error.what() << "\n";
    return static_cast<int>(error.code());
  }
}
