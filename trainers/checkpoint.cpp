// SPDX-License-Identifier: Apache-2.0
#include "trainers/checkpoint.h"

#include <ATen/ATen.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "blocks/foundation/files.h"

namespace mcufit {
namespace {

// Over all that is read back, so that a damaged epoch is found as well.
std::string checksum(const std::string& fingerprint, std::int64_t epoch, const std::string& data) {
  return sha256(fingerprint + " " + std::to_string(epoch) + "\n" + data);
}

std::string text_at(const nlohmann::json& header, const char* key) {
  const auto found = header.find(key);
  return found != header.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

void write_checkpoint(const std::filesystem::path& path, const std::string& fingerprint, std::int32_t epoch,
                      const std::vector<at::Tensor>& tensors) {
  std::string data;
  for (const at::Tensor& t : tensors) {
    const at::Tensor flat = t.detach().contiguous();
    data.append(static_cast<const char*>(flat.data_ptr()), flat.nbytes());
  }
  const nlohmann::json header = {
      {"fingerprint", fingerprint}, {"epoch", epoch}, {"sha256", checksum(fingerprint, epoch, data)}};
  write_file(path, header.dump() + "\n" + data);
}

std::int32_t read_checkpoint(const std::filesystem::path& path, const std::string& fingerprint,
                             const std::vector<at::Tensor>& tensors) {
  if (path.empty() || !std::filesystem::exists(path)) return 0;
  const std::string content = read_file(path);
  const auto line = content.find('\n');
  if (line == std::string::npos) return 0;
  const auto header = nlohmann::json::parse(content.substr(0, line), nullptr, false);
  if (!header.is_object() || text_at(header, "fingerprint") != fingerprint) return 0;
  const auto epoch = header.find("epoch");
  if (epoch == header.end() || !epoch->is_number_integer()) return 0;
  const std::string data = content.substr(line + 1);
  std::size_t bytes = 0;
  for (const at::Tensor& t : tensors) bytes += t.nbytes();
  if (data.size() != bytes) return 0;
  if (text_at(header, "sha256") != checksum(fingerprint, epoch->get<std::int64_t>(), data)) return 0;
  std::size_t offset = 0;
  for (const at::Tensor& t : tensors) {
    at::Tensor flat = at::empty(t.sizes(), at::kFloat);
    std::memcpy(flat.data_ptr(), data.data() + offset, flat.nbytes());
    t.detach().copy_(flat);
    offset += flat.nbytes();
  }
  return epoch->get<std::int32_t>();
}

}  // namespace mcufit
