// SPDX-License-Identifier: Apache-2.0
// What kernels work with in the arena of a package: where its plan says on cores of the plan's instruction
// set, behind the planned arena on others.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "blocks/builder.h"
#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "cost-models/kernel_scratch.h"
#include "exporters/c_emitter.h"
#include "exporters/c_scratch.h"
#include "exporters/device/device.h"
#include "exporters/device/toolchain.h"
#include "tests/exporters/sample_network.h"
#include "tests/exporters/streamed_plans.h"
#include "tests/random_seed.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Convolutions and depthwise layers of which different ones need the most on different instruction sets.
Graph conv_graph() {
  GraphBuilder b("convolutions", {9, 7, 3});
  NodeId x = b.conv2d("stem", b.input(), 20, square_window(3, 2, 1));
  x = b.depthwise_conv2d("depthwise", x, square_window(5, 1, 2));
  x = b.pointwise("pointwise", x, 9);
  x = b.conv2d("large", x, 6, square_window(3, 1, 1));
  b.fully_connected("classifier", b.global_average_pool("pool", x), 4);
  return b.finish();
}

// Layer by layer for all kernels but one, which has everything in a group.
MemoryPlan plan_for(const Graph& lowered, Isa isa) {
  return with_scratch(isa == Isa::dsp ? longest_groups(lowered) : plan(lowered), lowered, isa);
}

TEST(Scratch, LiesBehindForTheOtherInstructionSets) {
  const Graph graph = random_integers(conv_graph(), 1).graph;
  for (const Isa planned : isas()) {
    const MemoryPlan plan = plan_for(graph, planned);
    for (const Isa isa : isas()) {
      std::int64_t most = 0;
      for (NodeId id = 0; id < graph.size(); ++id)
        most = std::max(most, kernel_scratch_bytes(graph, id, isa));
      EXPECT_EQ(most > 0, isa != Isa::portable);
      EXPECT_EQ(scratch_bytes_behind(graph, plan, isa), isa == planned ? 0 : most) << to_string(isa);
    }
    EXPECT_TRUE(has_scratch_behind(graph, plan));
  }
}

// A package that overwrote tensors would be worse than none.
TEST(Scratch, APlanWithoutRoomIsRefused) {
  const QuantizedGraph net = random_integers(conv_graph(), 1);
  PackageRequest request;
  request.name = "net";
  for (const Isa isa : variant_isas()) {
    MemoryPlan plan = plan_for(net.graph, isa);
    EXPECT_NO_THROW(emit_c(net, plan, request));
    const auto most =
        std::max_element(plan.steps.begin(), plan.steps.end(),
                         [](const Step& a, const Step& b) { return a.scratch_bytes < b.scratch_bytes; });
    most->scratch_bytes -= 4;
    try {
      emit_c(net, plan, request);
      ADD_FAILURE() << to_string(isa);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::internal);
      EXPECT_THAT(error.what(), HasSubstr(fmt::format("has {} bytes", most->scratch_bytes)));
      EXPECT_THAT(error.what(), HasSubstr(fmt::format("for {}; accepted", to_string(isa))));
    }
  }
}

class ScratchPackage : public ::testing::TestWithParam<const Device*> {
 protected:
  void SetUp() override {
    if (const auto missing = missing_program(*GetParam()))
      GTEST_SKIP() << missing->name << " is not installed";
  }

  void write(const MemoryPlan& plan) {
    write_package(package(), network_, price(network_.graph, no_code_sizes(), plan),
                  {.name = "net", .target = target_, .self_test = {vectors_.front()}});
  }

  // Whether the compiler finds the kernels of conv2d and depthwise_conv2d where they should work.
  void expect_scratch_at(std::int64_t planned, std::int64_t offset) {
    const Toolchain toolchain(*GetParam(), GetParam()->limits_for(target_), folder_.path());
    write_file(folder_.path() / "check.c",
               fmt::format("#include \"net_steps.c\"\ntypedef char check[NET_SCRATCH({}) == {} ? 1 : -1];\n",
                           planned, offset));
    EXPECT_NO_THROW(toolchain.compile("check.c", "check", {"-I" + package().string()}));
  }

  fs::path package() const { return folder_.path() / "package"; }

  const QuantizedGraph network_ = random_integers(conv_graph(), seed());
  const std::vector<TestVector> vectors_ = sample_vectors(network_, 3, seed());
  const Target target_ = sample_target("cortex-m4", true);
  TestFolder folder_;
};

// Whichever kernels the plan is for and whichever the compiler takes.
TEST_P(ScratchPackage, HasThePredictedArenaAndTheInterpretersBytes) {
  MCUFIT_TRACE_SEED();
  const Isa isa = GetParam()->isa();
  for (const Isa planned : isas()) {
    SCOPED_TRACE(std::string("planned for ") + std::string(to_string(planned)));
    const MemoryPlan plan = plan_for(network_.graph, planned);
    write(plan);
    const Manifest manifest = read_manifest(package());
    const std::int64_t behind = scratch_bytes_behind(network_.graph, plan, isa);
    EXPECT_EQ(manifest.scratch.kernels, planned);
    EXPECT_EQ(arena_bytes(manifest, isa), plan.arena_bytes + behind);
    const DeviceReport report =
        validate({package(), folder_.path() / "work", GetParam()->name, nullptr}, vectors_);
    EXPECT_FALSE(report.first_mismatch.has_value());
    EXPECT_EQ(report.linked.arena_bytes, predict(manifest, *GetParam()).ram.arena_bytes);
    EXPECT_EQ(report.linked.arena_bytes, plan.arena_bytes + behind);
    expect_scratch_at(8, behind == 0 ? 8 : plan.arena_bytes);
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

INSTANTIATE_TEST_SUITE_P(Devices, ScratchPackage, ::testing::ValuesIn(all_devices()), device_name);

}  // namespace
}  // namespace mcufit::testing
