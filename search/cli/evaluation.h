// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "blocks/lower.h"
#include "blocks/quantized_graph.h"
#include "trainers/datasets/dataset.h"

namespace mcufit {

// How image bytes enter a network: real value / 255, int8 value - 128.
inline constexpr Quantization kByteInput{1.0F / 255.0F, -128};

std::vector<std::int8_t> int8_input(std::span<const std::uint8_t> sample);
std::vector<float> real_input(std::span<const std::uint8_t> sample);

// Post-training quantization with activation ranges observed on `samples`.
QuantizedGraph quantize_trained(const Graph& graph, const Weights& weights, const Samples& samples);

// Share of samples, 0..1, whose largest output is their label (the first of equal ones): by the float
// interpreter, and by the fast integer interpreter, which has its judge's bytes. Parallel over samples.
double float_accuracy(const Lowered& lowered, const Samples& samples);
double int8_accuracy(const QuantizedGraph& graph, const Samples& samples);

// Index of the largest value, the first of equal ones.
std::int32_t argmax(std::span<const std::int8_t> outputs);

}  // namespace mcufit
