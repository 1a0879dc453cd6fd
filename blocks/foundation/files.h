// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace mcufit {

// The whole file. Throws Error(io) naming it when it cannot be read, Error(input) when it is larger than
// `most_bytes`.
std::string read_file(const std::filesystem::path& path, std::int64_t most_bytes = std::int64_t{1} << 31);

// The whole file, unpacked when it is gzip. Throws Error(io), Error(input) when the gzip stream is damaged or
// truncated.
std::string read_gzip_file(const std::filesystem::path& path,
                           std::int64_t most_bytes = std::int64_t{1} << 31);

// Temporary file beside `path`, fsync, rename: readers see the old or the new content, never a part. Creates
// missing parent folders. Throws Error(io).
void write_file(const std::filesystem::path& path, std::string_view content);

// Lower-case hexadecimal SHA-256.
std::string sha256(std::string_view content);

// Where configs/, read at run time, lies: $MCUFIT_CONFIGS, or share/mcufit/configs beside the program's
// folder, or the source tree the program was built from. Throws Error(io) naming all three when none exists.
std::filesystem::path config_folder();

// Where data sets that no package brings lie: $MCUFIT_DATA, else ../shared/data.
std::filesystem::path data_folder();

// The folder of the running program.
std::filesystem::path program_folder();

}  // namespace mcufit
