// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "blocks/quantized_graph.h"
#include "cost-models/plan.h"
#include "exporters/runtime/mcufit_runtime.h"

namespace mcufit {

// One kernel call of a deployed network. `fields` is the runtime's step as it goes to the device, its
// pointers null; the tables they stand for are held beside it, in the order in which they are stored. The
// whole node is computed by a call with the range [0, end).
struct ConvolutionTables {
  std::vector<std::int8_t> filter;
  std::vector<std::int32_t> bias;  // [output channel], input zero point folded in; never empty
  std::vector<std::int32_t> multiplier;
  std::vector<std::int8_t> shift;
};

struct Conv2dStep {
  mcufit_conv2d_s8_step fields;  // as of a core that reads the filter in its own order
  ConvolutionTables tables;
  std::int16_t end;  // output rows
};
struct DepthwiseConv2dStep {
  mcufit_depthwise_conv2d_s8_step fields;
  ConvolutionTables tables;
  std::int16_t end;  // output rows
};
struct FullyConnectedStep {
  mcufit_fully_connected_s8_step fields;  // likewise
  ConvolutionTables tables;
  std::int16_t end;  // outputs
};
struct AddStep {
  mcufit_add_s8_step fields;
  std::int16_t end;  // output rows
};
struct AveragePool2dStep {
  mcufit_pool2d_s8_step fields;
  std::int16_t end;  // output rows
};
struct MaxPool2dStep {
  mcufit_pool2d_s8_step fields;
  std::int16_t end;  // output rows
};
struct SoftmaxStep {
  mcufit_softmax_s8_step fields;
  std::int16_t end;  // output rows
};
struct MulStep {
  mcufit_mul_s8_step fields;
  std::int16_t end;  // output rows
};
struct LookupStep {
  mcufit_lookup_s8_step fields;
  std::array<std::int8_t, 256> table;
  std::int16_t end;  // output rows
};
struct MeanStep {
  mcufit_mean_s8_step fields;
  std::int16_t end;  // output rows
};
// Running sums: [0, end) are rows of the input, in a group.
struct MeanRowsStep {
  mcufit_mean_rows_s8_step fields;
  std::int16_t end;  // input rows
};
struct AveragePool2dRowsStep {
  mcufit_average_pool2d_rows_s8_step fields;
  std::int16_t end;  // input rows
};
struct ConcatenationStep {
  mcufit_concatenation_s8_step fields;
  std::vector<mcufit_concatenation_part> parts;
  std::int16_t end;  // output rows
};
struct PadStep {
  mcufit_pad_s8_step fields;
  std::int16_t end;  // output rows
};
struct ResizeStep {
  mcufit_resize_nearest_neighbor_s8_step fields;
  std::vector<std::int16_t> rows, columns;
  std::int16_t end;  // output rows
};
// A streamed input: the sender has written the rows, or of a tile the columns that it reads of them.
struct InputRowStep {
  mcufit_input_row_step fields;
  std::int16_t end;  // rows
};

using RuntimeStep =
    std::variant<Conv2dStep, DepthwiseConv2dStep, FullyConnectedStep, AddStep, AveragePool2dStep,
                 MaxPool2dStep, SoftmaxStep, MulStep, LookupStep, MeanStep, MeanRowsStep,
                 AveragePool2dRowsStep, ConcatenationStep, PadStep, ResizeStep, InputRowStep>;

// The step that executes node `id`, which is neither an input that the plan has whole nor a reshape: with the
// line buffers and running sums that the plan gives it, and of a group in tiles one tile of it. This is the
// one derivation of step fields: the C emitter prints what the host runs. Throws Error(input) naming the node
// when the runtime has no kernel for it or a number does not fit its field.
RuntimeStep make_step(const QuantizedGraph& graph, const MemoryPlan& plan, NodeId id, std::int32_t tile = 0);

// The step with its pointers set into its own tables, for the host; valid while `step` lives where it is.
mcufit_conv2d_s8_step bound_fields(const Conv2dStep& step);
mcufit_depthwise_conv2d_s8_step bound_fields(const DepthwiseConv2dStep& step);
mcufit_fully_connected_s8_step bound_fields(const FullyConnectedStep& step);
mcufit_lookup_s8_step bound_fields(const LookupStep& step);
mcufit_concatenation_s8_step bound_fields(const ConcatenationStep& step);
mcufit_resize_nearest_neighbor_s8_step bound_fields(const ResizeStep& step);

// Runs the kernel of a step on the host, over outputs [first, end).
void run_step(const RuntimeStep& step, std::int8_t* arena, std::int16_t first, std::int16_t end);

}  // namespace mcufit
