// SPDX-License-Identifier: Apache-2.0
// The Pareto sets of arena bytes and calls of published nets and of the shared models, beside what others
// need. Run by `./dev ram-fronts`; the shared models are looked for in MCUFIT_DATA.
#include <fmt/format.h>

#include <chrono>
#include <iostream>

#include "blocks/builder.h"
#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/text.h"
#include "blocks/lower.h"
#include "cost-models/count.h"
#include "cost-models/plan.h"
#include "exporters/tflite/import.h"

namespace mcufit {
namespace {

// An inverted residual of the layer tables by which msf-CNN's authors describe their nets (NeurIPS 2025).
struct Residual {
  std::int32_t channels, expansion, stride, kernel;
};

struct PublishedNet {
  std::string name;
  std::int32_t resolution, stem;
  bool separable_stem;  // a depthwise 3x3 and a pointwise to 8 channels behind the stem
  std::vector<Residual> residuals;
  std::int32_t head;  // channels of a last pointwise convolution; 0: none
  std::string published;
};

Graph build(const PublishedNet& net, bool adds) {
  GraphBuilder b(net.name, {net.resolution, net.resolution, 3});
  const auto act = [&](std::string_view name, NodeId from) {
    return b.norm_act(name, from, Activation::relu6);
  };
  NodeId x = act("stem", b.conv2d("stem", b.input(), net.stem, square_window(3, 2, 1)));
  if (net.separable_stem) {
    x = act("depthwise", b.depthwise_conv2d("depthwise", x, square_window(3, 1, 1)));
    x = b.batch_norm("pointwise/bn", b.pointwise("pointwise", x, 8));
  }
  int block = 0;
  for (const Residual& r : net.residuals) {
    b.scope(fmt::format("block{}", ++block));
    const NodeId in = x;
    if (r.expansion > 1) x = act("expand", b.pointwise("expand", x, b.shape(x).channels * r.expansion));
    x = act("depthwise", b.depthwise_conv2d("depthwise", x, square_window(r.kernel, r.stride, r.kernel / 2)));
    x = b.batch_norm("project/bn", b.pointwise("project", x, r.channels));
    if (adds && b.shape(in) == b.shape(x)) x = b.add("add", in, x);
  }
  b.scope("");
  if (net.head > 0) x = act("head", b.pointwise("head", x, net.head));
  b.global_average_pool("pool", x);
  return lower(b.finish());
}

const std::vector<PublishedNet>& published_nets() {
  static const std::vector<PublishedNet> nets{
      {"MobileNetV2 x0.35, 144",
       144,
       11,
       false,
       {{5, 1, 1, 3},
        {8, 6, 2, 3},
        {8, 6, 1, 3},
        {11, 6, 2, 3},
        {11, 6, 1, 3},
        {11, 6, 1, 3},
        {22, 6, 2, 3},
        {22, 6, 1, 3},
        {22, 6, 1, 3},
        {22, 6, 1, 3},
        {33, 6, 1, 3},
        {33, 6, 1, 3},
        {33, 6, 1, 3},
        {56, 6, 2, 3},
        {56, 6, 1, 3},
        {56, 6, 1, 3},
        {112, 6, 1, 3}},
       448,
       "194,400 layer by layer; 68,000 at MAC factor 1.10; 21,400 at 1.30; 15,200 at 1.38; 8,560 at 1.68"},
      {"MCUNet-VWW-5fps, 80",
       80,
       16,
       true,
       {{16, 6, 2, 3},
        {16, 3, 1, 3},
        {16, 3, 1, 3},
        {24, 3, 2, 7},
        {24, 6, 1, 3},
        {24, 5, 1, 5},
        {40, 6, 2, 7},
        {40, 6, 1, 7},
        {48, 6, 1, 3},
        {48, 4, 1, 3},
        {96, 5, 2, 5},
        {96, 5, 1, 3},
        {96, 4, 1, 3},
        {160, 3, 1, 7}},
       0,
       "96,000 layer by layer; 45,300 at MAC factor 1.02; 26,200 at 1.11; 17,900 at 1.35; 15,400 at 1.96"},
      {"MCUNet-320KB, 176",
       176,
       16,
       true,
       {{16, 3, 2, 7},
        {16, 5, 1, 3},
        {16, 5, 1, 7},
        {16, 4, 1, 5},
        {24, 5, 2, 5},
        {24, 5, 1, 5},
        {24, 5, 1, 5},
        {40, 5, 2, 3},
        {40, 6, 1, 7},
        {40, 4, 1, 5},
        {48, 5, 1, 5},
        {48, 5, 1, 7},
        {48, 5, 1, 3},
        {96, 6, 2, 3},
        {96, 5, 1, 7},
        {96, 4, 1, 3},
        {160, 5, 1, 7}},
       0,
       "309,760 layer by layer; 218,000 at MAC factor 1.04; 94,200 at 1.45; 63,500 at 2.02; 51,200 at 2.69"}};
  return nets;
}

double milliseconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count();
}

void print_front(const Graph& graph, bool input_streamed) {
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<FrontPoint> front = plan_front(graph, {.input_streamed = input_streamed});
  const double front_ms = milliseconds(begin);
  const auto quick_begin = std::chrono::steady_clock::now();
  const MemoryPlan quick = plan(graph, {.mode = PlanMode::quick, .input_streamed = input_streamed});
  const double quick_ms = milliseconds(quick_begin);
  std::cout << fmt::format(
      "  input {}: {} plans of {} nodes in {:.1f} ms; bound {} bytes; quick {} bytes in {:.3f} ms\n",
      input_streamed ? "streamed" : "in the arena", front.size(), graph.size(), front_ms,
      with_separators(front[0].plan.lower_bound_bytes), with_separators(quick.arena_bytes), quick_ms);
  std::vector<std::vector<std::string>> rows{
      {"", "arena bytes", "MACs", "calls", "extra weight bytes", "steps"}};
  for (const FrontPoint& p : front) {
    rows.push_back({" ", with_separators(p.plan.arena_bytes), with_separators(p.macs),
                    with_separators(p.calls), with_separators(p.extra_weight_bytes),
                    std::to_string(p.plan.steps.size())});
  }
  std::cout << aligned_table(rows);
}

void print_published() {
  for (const PublishedNet& net : published_nets()) {
    for (const bool adds : {false, true}) {
      const Graph graph = build(net, adds);
      std::cout << fmt::format("{}, {} residual adds; msf-CNN, without adds and input: {}\n", net.name,
                               adds ? "with" : "without", net.published);
      for (const bool streamed : {true, false}) print_front(graph, streamed);
    }
  }
}

struct SharedModel {
  std::string name, file, others;
};

void print_shared(const SharedModel& model) {
  const auto path = data_folder() / "mlperf-tiny" / model.file;
  if (!std::filesystem::exists(path)) {
    std::cout << fmt::format("{}: {} is not there; MCUFIT_DATA names its folder\n", model.name,
                             path.string());
    return;
  }
  std::cout << fmt::format("{}; others, arena bytes: {}\n", model.name, model.others);
  const Graph graph = import_tflite(read_file(path), model.name).graph;
  for (const bool streamed : {false, true}) print_front(graph, streamed);
}

}  // namespace
}  // namespace mcufit

int main() {
  try {
    mcufit::print_published();
    mcufit::print_shared({"ic", "ic_resnet8_int8.tflite", "54,996 (TFLite Micro), 56,672 (best vendor)"});
    mcufit::print_shared({"kws", "kws_dscnn_int8.tflite", "22,820 (TFLite Micro), 22,272 (best vendor)"});
    mcufit::print_shared(
        {"ad", "ad_fc_autoencoder_int8.tflite", "2,580 (TFLite Micro), 2,048 (best vendor)"});
    return 0;
  } catch (const mcufit::Error& error) {
    std::cerr << error.what() << "\n";
    return static_cast<int>(error.code());
  }
}
