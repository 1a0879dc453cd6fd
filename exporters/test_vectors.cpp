// SPDX-License-Identifier: Apache-2.0
#include "exporters/test_vectors.h"

#include <fmt/format.h>

#include <string>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"

namespace mcufit {

void write_vectors(const std::filesystem::path& path, const std::vector<TestVector>& vectors) {
  std::string content;
  for (const TestVector& v : vectors) {
    content.append(v.input.begin(), v.input.end());
    content.append(v.output.begin(), v.output.end());
  }
  write_file(path, content);
}

std::vector<TestVector> read_vectors(const std::filesystem::path& path, const Manifest& manifest) {
  const std::string content = read_file(path);
  const auto input = static_cast<std::size_t>(manifest.input_bytes);
  const auto record = input + static_cast<std::size_t>(manifest.output_bytes);
  if (content.empty() || content.size() % record != 0) {
    throw Error(
        ExitCode::input,
        fmt::format("{}: found {} bytes; accepted: one or more vectors of {} input and {} output bytes",
                    path.string(), content.size(), manifest.input_bytes, manifest.output_bytes));
  }
  std::vector<TestVector> vectors;
  for (auto at = content.begin(); at != content.end(); at += static_cast<std::ptrdiff_t>(record)) {
    const auto middle = at + static_cast<std::ptrdiff_t>(input);
    vectors.push_back({{at, middle}, {middle, at + static_cast<std::ptrdiff_t>(record)}});
  }
  return vectors;
}

}  // namespace mcufit
