// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "blocks/graph.h"
#include "cost-models/target.h"

namespace mcufit {

// What a user writes on the command line. All throw Error(usage) naming the option.

// "flash=1MB,ram=392KB,macs=63M,params=100k", with or without the unit in the key ("flash_bytes=65536"). KB
// and MB are 1,024 and 1,048,576 bytes, as microcontrollers are sold; k, M and G of counts are powers of
// 1,000; latency may be in us, ms or s and energy in uJ, mJ or J. Throws Error(config) for unknown keys and
// numbers outside the bounds of read_limits().
Limits parse_limits(const std::string& text);

// "96x96x3".
Shape parse_shape(const std::string& text);

// "96,128,160" or "96x64,128x96": heights and widths, with the channels of `input`.
std::vector<Shape> parse_resolutions(const std::string& text, const Shape& input);

}  // namespace mcufit
