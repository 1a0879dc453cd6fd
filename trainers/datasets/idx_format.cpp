// SPDX-License-Identifier: Apache-2.0
#include "trainers/datasets/idx_format.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"

namespace mcufit {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{1} << 32;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw Error(ExitCode::input, fmt::format("{}: {}", path.string(), what));
}

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

// The extents of an unpacked IDX file of unsigned bytes; its size is proved to match them.
std::vector<std::int64_t> read_extents(const std::filesystem::path& path, std::string_view content,
                                       std::size_t dimensions) {
  const std::size_t header = 4 + 4 * dimensions;
  if (content.size() < header)
    refuse(path, fmt::format("found {} bytes; accepted: an IDX header of {}", content.size(), header));
  const std::uint32_t magic = big_endian(content, 0);
  const auto wanted = static_cast<std::uint32_t>(0x800 + dimensions);
  if (magic != wanted)
    refuse(path, fmt::format("found magic number {:08x}; accepted: {:08x}", magic, wanted));
  std::vector<std::int64_t> extents;
  std::int64_t bytes = 1;
  for (std::size_t d = 0; d < dimensions; ++d) {
    extents.push_back(big_endian(content, 4 + 4 * d));
    if (extents.back() < 1 || extents.back() > kMostBytes / bytes)
      refuse(path, fmt::format("found an extent of {}", extents.back()));
    bytes *= extents.back();
  }
  const auto found = static_cast<std::int64_t>(content.size() - header);
  if (found != bytes)
    refuse(path, fmt::format("found {} bytes of data; accepted: {} (truncated?)", found, bytes));
  return extents;
}

}  // namespace

Samples read_idx(const std::filesystem::path& images, const std::filesystem::path& labels, Shape shape,
                 std::int32_t classes) {
  const std::string pixels = read_gzip_file(images, kMostBytes);
  const std::vector<std::int64_t> extents = read_extents(images, pixels, 3);
  if (extents[1] != shape.height || extents[2] != shape.width || shape.channels != 1) {
    refuse(images, fmt::format("found images of {}x{}; accepted: {}x{}", extents[1], extents[2], shape.height,
                               shape.width));
  }
  const std::string classes_read = read_gzip_file(labels, kMostBytes);
  const std::int64_t count = read_extents(labels, classes_read, 1)[0];
  if (count != extents[0]) refuse(labels, fmt::format("found {} labels for {} images", count, extents[0]));
  Samples samples;
  samples.shape = shape;
  samples.values.assign(pixels.end() - extents[0] * shape.elements(), pixels.end());
  for (auto label = classes_read.end() - count; label != classes_read.end(); ++label) {
    const std::int32_t value = static_cast<unsigned char>(*label);
    if (value >= classes)
      refuse(labels, fmt::format("found label {}; accepted: 0 to {}", value, classes - 1));
    samples.labels.push_back(value);
  }
  return samples;
}

}  // namespace mcufit
