// SPDX-License-Identifier: Apache-2.0
#include "blocks/foundation/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void throw_io(const fs::path& path, std::string_view doing) {
  throw Error(ExitCode::io, fmt::format("{}: {} failed: {}", path.string(), doing, std::strerror(errno)));
}

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

void write_all(int fd, std::string_view content, const fs::path& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_io(path, "writing");
    content.remove_prefix(static_cast<std::size_t>(n));
  }
}

void check_size(const fs::path& path, std::int64_t found, std::int64_t most) {
  if (found > most) {
    throw Error(ExitCode::input, fmt::format("{}: found a file of more than {} bytes; accepted: at most {}",
                                             path.string(), most, most));
  }
}

}  // namespace

std::string read_file(const fs::path& path, std::int64_t most_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw_io(path, "opening");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_io(path, "reading");
  if (S_ISDIR(status.st_mode)) {
    throw Error(ExitCode::io, fmt::format("{}: found a folder; accepted: a file", path.string()));
  }
  check_size(path, status.st_size, most_bytes);
  std::string content;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_io(path, "reading");
    if (n == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(n));
    check_size(path, static_cast<std::int64_t>(content.size()), most_bytes);  // a pipe has no size beforehand
  }
}

std::string read_gzip_file(const fs::path& path, std::int64_t most_bytes) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw_io(path, "opening");
  std::string content;
  std::array<char, 65536> buffer{};
  for (;;) {
    const int n = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()));
    int code = Z_OK;
    const char* what = gzerror(file.get(), &code);
    if (n < 0 || code == Z_BUF_ERROR) {
      throw Error(ExitCode::input,
                  fmt::format("{}: the gzip stream is damaged or truncated after {} bytes ({})",
                              path.string(), content.size(), what));
    }
    if (n == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(n));
    check_size(path, static_cast<std::int64_t>(content.size()), most_bytes);
  }
}

void write_file(const fs::path& path, std::string_view content) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw Error(ExitCode::io, fmt::format("{}: the folder cannot be made: {}; choose one that can be written",
                                          folder.string(), error.message()));
  }
  std::string temporary = (folder / fmt::format(".{}.XXXXXX", path.filename().string())).string();
  {
    const Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
    if (file.get() < 0) throw_io(path, "writing beside it");
    try {
      write_all(file.get(), content, path);
      if (::fchmod(file.get(), 0644) != 0 || ::fsync(file.get()) != 0) throw_io(path, "writing");
    } catch (...) {
      ::unlink(temporary.c_str());
      throw;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int saved = errno;
    ::unlink(temporary.c_str());
    errno = saved;
    throw_io(path, "renaming into place");
  }
}

std::string sha256(std::string_view content) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_Digest(content.data(), content.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1) {
    throw Error(ExitCode::internal, "sha256: the crypto library refused");
  }
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

fs::path program_folder() { return fs::read_symlink("/proc/self/exe").parent_path(); }

fs::path config_folder() {
  if (const char* named = std::getenv("MCUFIT_CONFIGS")) return named;
  fs::path installed = program_folder().parent_path() / "share/mcufit/configs";
  if (fs::is_directory(installed)) return installed;
  fs::path source = fs::path(MCUFIT_SOURCE_DIR) / "configs";
  if (fs::is_directory(source)) return source;
  throw Error(ExitCode::io, fmt::format("no configs folder: looked for {} and {}; set MCUFIT_CONFIGS",
                                        installed.string(), source.string()));
}

fs::path data_folder() {
  if (const char* named = std::getenv("MCUFIT_DATA")) return named;
  return fs::path(MCUFIT_SOURCE_DIR) / "../shared/data";
}

}  // namespace mcufit
