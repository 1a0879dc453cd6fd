// SPDX-License-Identifier: Apache-2.0
#include "trainers/datasets/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <set>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "trainers/datasets/idx_format.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class IdxFormat : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mcufit_idx_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    write("images", std::string("\0\0\x8\x3\0\0\0\x2\0\0\0\x1\0\0\0\x2", 16) + "abcd");
    write("labels", std::string("\0\0\x8\x1\0\0\0\x2\x1\x0", 10));
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& content) const {
    gzFile file = gzopen((folder_ / name).c_str(), "wb");
    gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
    gzclose(file);
  }
  Samples read() const { return read_idx(folder_ / "images", folder_ / "labels", {1, 2, 1}, 2); }

  fs::path folder_;
};

TEST_F(IdxFormat, ReadsImagesAndLabels) {
  const Samples s = read();
  EXPECT_EQ(s.size(), 2);
  EXPECT_EQ(s.sample(1)[0], 'c');
  EXPECT_THAT(s.labels, ::testing::ElementsAre(1, 0));
}

TEST_F(IdxFormat, RefusesDamage) {
  const std::string packed = read_file(folder_ / "images");
  for (std::size_t length = 0; length < packed.size(); ++length) {
    write_file(folder_ / "images", packed.substr(0, length));
    EXPECT_THROW(read(), Error) << length;
  }
  write("images", std::string("\0\0\x8\x3\0\0\0\x2\0\0\0\x1\0\0\0\x2", 16) + "abc");
  EXPECT_THAT([&] { read(); }, ThrowsMessage<Error>(HasSubstr("found 3 bytes of data; accepted: 4")));
  write("images", std::string("\0\0\x8\x3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16));
  EXPECT_THROW(read(), Error);
}

TEST_F(IdxFormat, RefusesWrongLabels) {
  write("labels", std::string("\0\0\x8\x1\0\0\0\x2\x1\x7", 10));
  EXPECT_THAT([&] { read(); }, ThrowsMessage<Error>(HasSubstr("found label 7; accepted: 0 to 1")));
  write("labels", std::string("\0\0\x8\x1\0\0\0\x1\x1", 9));
  EXPECT_THAT([&] { read(); }, ThrowsMessage<Error>(HasSubstr("1 labels for 2 images")));
}

Samples numbered(int count) {
  Samples s;
  s.shape = {1, 1, 1};
  for (int i = 0; i < count; ++i) {
    s.values.push_back(static_cast<std::uint8_t>(i));
    s.labels.push_back(i % 3);
  }
  return s;
}

TEST(Dataset, SplitIsSeededAndDisjoint) {
  const Samples all = numbered(100);
  const Split a = split(all, 20, 1);
  EXPECT_EQ(a.train.size(), 80);
  EXPECT_EQ(a.validation.size(), 20);
  std::set<int> seen(a.train.values.begin(), a.train.values.end());
  seen.insert(a.validation.values.begin(), a.validation.values.end());
  EXPECT_EQ(seen.size(), 100U);
  EXPECT_EQ(a.validation.values, split(all, 20, 1).validation.values);
  EXPECT_NE(a.validation.values, split(all, 20, 2).validation.values);
  EXPECT_THROW(split(all, 100, 1), Error);
  EXPECT_EQ(subset(all, 7, 1).size(), 7);
  EXPECT_EQ(subset(all, 700, 1).size(), 100);
}

TEST(Dataset, MissingFilesNameThePackage) {
  EXPECT_THAT([] { dataset("fashion_mnist").train("/nowhere"); },
              ThrowsMessage<Error>(HasSubstr("apt-get install dataset-fashion-mnist")));
  EXPECT_THAT([] { dataset("fashion_mnits"); },
              ThrowsMessage<Error>(HasSubstr("did you mean 'fashion_mnist'?")));
}

TEST(Dataset, FashionMnistHasItsPublishedCounts) {
  const Dataset& data = dataset("fashion_mnist");
  if (!fs::exists("/usr/share/datasets/fashion-mnist"))
    GTEST_SKIP() << "package dataset-fashion-mnist is not installed";
  const Samples test = data.test("");
  EXPECT_EQ(test.size(), 10000);
  for (std::int32_t c = 0; c < 10; ++c)
    EXPECT_EQ(std::count(test.labels.begin(), test.labels.end(), c), 1000);
}

TEST(Dataset, MnistIsLookedForInMcufitData) {
  if (!fs::exists(data_folder() / "mnist"))
    GTEST_SKIP() << (data_folder() / "mnist").string() << " does not exist";
  const Dataset& data = dataset("mnist_10k");
  EXPECT_EQ(data.train("").size(), 8000);
  const Samples test = data.test("");
  EXPECT_EQ(test.size(), 2000);
  // The published counts of the 10,000, class by class.
  const std::vector<std::int64_t> published{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
  const Samples train = data.train("");
  for (std::int32_t c = 0; c < 10; ++c) {
    const std::int64_t found = std::count(test.labels.begin(), test.labels.end(), c) +
                               std::count(train.labels.begin(), train.labels.end(), c);
    EXPECT_EQ(found, published[static_cast<std::size_t>(c)]) << c;
  }
  EXPECT_THAT([&] { data.train("/nowhere"); }, ThrowsMessage<Error>(HasSubstr("MCUFIT_DATA")));
}

}  // namespace
}  // namespace mcufit
