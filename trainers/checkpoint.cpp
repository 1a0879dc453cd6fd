// SPDX-License-Identifier: Apache-2.0
#include "trainers/checkpoint.h"

#include <ATen/ATen.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "blocks/foundation/files.h"

namespace mcufit {

void write_checkpoint(const std::filesystem::path& path, const std::string& fingerprint, std::int32_t epoch,
                      const std::vector<at::Tensor>& tensors) {
  std::string data;
  for (const at::Tensor& t : tensors) {
    const at::Tensor flat = t.detach().contiguous();
    data.append(static_cast<const char*>(flat.data_ptr()), flat.nbytes());
  }
  const nlohmann::json header = {{"fingerprint", fingerprint}, {"epoch", epoch}, {"sha256", sha256(data)}};
  write_file(path, header.dump() + "\n" + data);
}

std::int32_t read_checkpoint(const std::filesystem::path& path, const std::string& fingerprint,
                             const std::vector<at::Tensor>& tensors) {
  if (path.empty() || !std::filesystem::exists(path)) return 0;
  const std::string content = read_file(path);
  const auto line = content.find('\n');
  const auto header = nlohmann::json::parse(content.substr(0, line), nullptr, false);
  if (line == std::string::npos || !header.is_object() || header.value("fingerprint", "") != fingerprint)
    return 0;
  const std::string data = content.substr(line + 1);
  std::size_t bytes = 0;
  for (const at::Tensor& t : tensors) bytes += t.nbytes();
  if (data.size() != bytes || header.value("sha256", "") != sha256(data)) return 0;
  std::size_t offset = 0;
  for (const at::Tensor& t : tensors) {
    at::Tensor flat = at::empty(t.sizes(), at::kFloat);
    std::memcpy(flat.data_ptr(), data.data() + offset, flat.nbytes());
    t.detach().copy_(flat);
    offset += flat.nbytes();
  }
  return header.value("epoch", 0);
}

}  // namespace mcufit
