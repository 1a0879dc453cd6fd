// SPDX-License-Identifier: Apache-2.0
// Packages whose depthwise filters lie in flash as the DSP kernels compute with them.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "blocks/builder.h"
#include "blocks/foundation/random.h"
#include "cost-models/cores.h"
#include "cost-models/layout.h"
#include "exporters/device/device.h"
#include "exporters/interleaved_filter.h"
#include "tests/exporters/sample_network.h"
#include "tests/exporters/streamed_plans.h"
#include "tests/random_seed.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;

Window window_of(std::int32_t height, std::int32_t width, std::int32_t dilation_width = 1) {
  Window w = square_window(1, 1, 0);
  w.kernel_height = height;
  w.kernel_width = width;
  w.dilation_width = dilation_width;
  w.padding = {height / 2, height / 2, width / 2, width / 2};
  return w;
}

// Depthwise layers that take wide filters, by fours of channels and not, and three that do not.
Graph depthwise_graph() {
  GraphBuilder b("depthwise", {5, 6, 5});
  NodeId x = b.depthwise_conv2d("five", b.input(), window_of(3, 3));
  x = b.depthwise_conv2d("four", b.pointwise("to_four", x, 4), window_of(5, 5));
  x = b.depthwise_conv2d("three", b.pointwise("to_three", x, 3), window_of(3, 3));
  x = b.pointwise("to_sixty_four", x, 64);
  x = b.depthwise_conv2d("sixty_four", x, window_of(3, 3));
  x = b.depthwise_conv2d("even", b.pointwise("to_ten", x, 10), window_of(2, 2));
  x = b.depthwise_conv2d("gaps", x, window_of(3, 3, 2));
  b.depthwise_conv2d("large", x, window_of(6, 9));
  return b.finish();
}

// Whoever prices and whoever writes them agree on which layers take them.
TEST(WideFilters, HaveThePriceOfWhatIsWritten) {
  MCUFIT_TRACE_SEED();
  Random random(seed());
  int wide = 0, packed = 0;
  for (int i = 0; i < 300; ++i) {
    const auto extent = [&](int low, int high) {
      return static_cast<std::int32_t>(random.between(low, high));
    };
    const auto height = extent(1, 8), width = random.below(8) == 0 ? extent(40, 60) : extent(1, 9);
    GraphBuilder b("one", {8, 130, extent(1, 13)});
    b.depthwise_conv2d("depthwise", b.input(), window_of(height, width, random.below(6) == 0 ? 2 : 1));
    const QuantizedGraph net = random_integers(b.finish(), seed());
    const auto step = std::get<DepthwiseConv2dStep>(make_step(net, plan(net.graph), 1, 0));
    const InterleavedFilter written = widen(step);
    EXPECT_EQ(std::ssize(written.bytes) - std::ssize(step.tables.filter), wider_filter_bytes(net.graph, 1))
        << height << "x" << width << " of " << step.fields.window.output_channels;
    ++(written.outputs > 0 ? wide : packed);
  }
  EXPECT_GT(wide, 100);
  EXPECT_GT(packed, 50);
}

class WidePackage : public ::testing::TestWithParam<const Device*> {
 protected:
  WidePackage() : network_(random_integers(depthwise_graph(), seed())) {
    vectors_ = sample_vectors(network_, 3, seed());
  }

  void SetUp() override {
    if (const auto missing = missing_program(*GetParam()))
      GTEST_SKIP() << missing->name << " is not installed";
  }

  // For a Cortex-M4, whatever device it runs on.
  Cost write(const MemoryPlan& plan, bool wide) {
    const Target target = sample_target("cortex-m4", true);
    const CodeSizesForTarget code = load_code_sizes(target);
    Cost cost = price(network_.graph, code, plan);
    if (wide) store_wide_filters(cost, network_.graph, code);
    write_package(package(), network_, cost, {.name = "wide", .target = target, .self_test = vectors_});
    return cost;
  }

  DeviceReport run_it(const std::string& work) {
    DeviceReport report = validate({package(), folder_.path() / work, GetParam()->name, nullptr}, vectors_);
    EXPECT_FALSE(report.first_mismatch) << work;
    return report;
  }

  bool reads_wide_filters() const {
    const Core* core = find_core(GetParam()->name);
    return core != nullptr && core->isa == Isa::dsp;
  }
  fs::path package() const { return folder_.path() / "package"; }

  QuantizedGraph network_;
  std::vector<TestVector> vectors_;
  TestFolder folder_;
};

// On cores that read no wide filters the same package has packed ones and the same bytes.
TEST_P(WidePackage, HasThePredictedFiltersAndTheInterpretersBytes) {
  MCUFIT_TRACE_SEED();
  for (const MemoryPlan& plan_of : {plan(network_.graph), longest_groups(network_.graph)}) {
    const std::string by = has_row_steps(plan_of) ? "rows" : "layers";
    const Cost cost = write(plan_of, true);
    ASSERT_TRUE(cost.wide_filters());
    const DeviceReport wide = run_it("wide_" + by);
    FlashLedger predicted = predict(read_manifest(package()), *GetParam()).flash;
    EXPECT_EQ(predicted.wider_filter_bytes, reads_wide_filters() ? cost.flash.wider_filter_bytes : 0);
    // Code is another test's; steps have pointers, which are not everywhere as long.
    predicted.code_bytes = wide.linked.flash.code_bytes;
    predicted.step_bytes = wide.linked.flash.step_bytes;
    if (!wide.linked.sections.empty()) {
      EXPECT_EQ(wide.linked.flash, predicted) << to_json(wide).dump(2) << to_json(cost).dump(2);
    }
    if (!reads_wide_filters()) continue;
    write(plan_of, false);
    const DeviceReport packed = run_it("packed_" + by);
    EXPECT_EQ(packed.linked.flash.wider_filter_bytes, 0);
    EXPECT_EQ(packed.linked.flash.total() + cost.flash.wider_filter_bytes, wide.linked.flash.total());
    EXPECT_GT(packed.instructions_per_inference, wide.instructions_per_inference) << by;
  }
}

std::vector<const Device*> all_devices() {
  std::vector<const Device*> all;
  for (const Device& device : devices()) all.push_back(&device);
  return all;
}

std::string device_name(const ::testing::TestParamInfo<const Device*>& device) {
  std::string name = device.param->name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Devices, WidePackage, ::testing::ValuesIn(all_devices()), device_name);

}  // namespace
}  // namespace mcufit::testing
