// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/program.h"

#include <cstdlib>

#include "blocks/foundation/files.h"

namespace mcufit::testing {

namespace fs = std::filesystem;

Finished mcufit(const std::vector<std::string>& arguments, const fs::path& folder,
                const std::vector<std::pair<std::string, std::string>>& environment,
                const std::function<bool()>& cancelled) {
  return run(
      {.program = MCUFIT_PROGRAM, .arguments = arguments, .environment = environment, .folder = folder}, {},
      cancelled);
}

nlohmann::json tiny_job() {
  return {{"name", "tiny"},
          {"target", "nrf52840"},
          {"limits", {{"flash_bytes", 40000}, {"ram_bytes", 16000}, {"macs", 400000}}},
          {"data", {{"name", "fashion_mnist"}, {"validation_samples", 300}, {"test_samples", 200}}},
          {"families", {"phinet", "mobilenetv2"}},
          {"search",
           {{"strategy", "successive_halving"},
            {"seed", 3},
            {"workers", 2},
            {"rungs",
             {{{"trials", 3}, {"epochs", 1}, {"samples", 400}},
              {{"trials", 1}, {"epochs", 2}, {"samples", 600}}}}}},
          {"training", {{"batch_size", 32}, {"learning_rate", 0.1}}},
          {"range_samples", 50},
          {"device_samples", 5}};
}

std::string missing_for_search() {
  if (!fs::exists("/usr/share/datasets/fashion-mnist"))
    return "package dataset-fashion-mnist is not installed";
  if (!find_program((fs::path(MCUFIT_PROGRAM).parent_path() / "mcufit-worker").string()))
    return "mcufit-worker was not built";
  return "";
}

std::string missing_for_device() {
  for (const char* program : {"arm-none-eabi-gcc", "qemu-system-arm"}) {
    if (!find_program(program)) return std::string(program) + " is not installed";
  }
  return "";
}

Folder::Folder() {
  std::string name = (fs::temp_directory_path() / "mcufit_cli_XXXXXX").string();
  path_ = ::mkdtemp(name.data());
}

Folder::~Folder() { fs::remove_all(path_); }

fs::path Folder::write(const std::string& name, const std::string& content) const {
  write_file(path_ / name, content);
  return path_ / name;
}

}  // namespace mcufit::testing
