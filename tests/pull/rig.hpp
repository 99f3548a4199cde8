// A store and a directory of their own, thrown away afterwards.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "daemon/pull/puller.hpp"
#include "tests/pull/encoder.hpp"

namespace ebb::test {

class PullRig : public ::testing::Test {
 protected:
  PullRig() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ebb-pull-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    options_.transfer.part_bytes = 64u << 10;
    options_.transfer.parallel = 4;
    options_.transfer.pause_first = Duration{1};
    std::filesystem::create_directories(store_path());
    store_ = pull::open_directory_store(store_path());
    open();
  }
  ~PullRig() override {
    shelf_.reset();
    std::filesystem::remove_all(root_);
  }

  /// As after a restart.
  void open() {
    shelf_.reset();
    auto shelf = pull::Shelf::open(root_ + "/local");
    ASSERT_TRUE(shelf.ok()) << shelf.error().what;
    shelf_ = std::move(*shelf);
  }

  [[nodiscard]] std::string store_path() const { return root_ + "/store"; }
  [[nodiscard]] std::string local(const std::string& identity) const { return root_ + "/local/" + identity; }

  static pull::Path chain(const std::vector<std::string>& names, const std::string& onto = "") {
    pull::Path path;
    std::string parent = onto;
    for (const std::string& name : names) {
      path.push_back({name, parent.empty() ? SnapshotKind::full : SnapshotKind::incremental, parent});
      parent = name;
    }
    return path;
  }

  Status pull(const std::vector<std::string>& names, const std::string& onto = "") {
    pull::Puller puller(*shelf_, *store_, options_);
    progress_ = std::make_unique<pull::Progress>();
    const pull::Stop stop;
    return puller.pull(chain(names, onto), *progress_, stop);
  }

  void expect_weights(const std::string& identity, const Shards& shards) const {
    ASSERT_TRUE(shelf_->find(identity)) << identity << " is not ready";
    for (const auto& [file, tensors] : shards) {
      EXPECT_TRUE(read_all(local(identity) + "/" + file) == safetensors_text(tensors, {{"format", "pt"}}))
          << identity << "/" << file;
    }
  }

  [[nodiscard]] static ino_t inode(const std::string& path) {
    struct stat now {};
    EXPECT_EQ(::stat(path.c_str(), &now), 0) << path;
    return now.st_ino;
  }

  std::string root_;
  pull::PullOptions options_;
  std::unique_ptr<pull::Store> store_;
  std::unique_ptr<pull::Shelf> shelf_;
  std::unique_ptr<pull::Progress> progress_;
  std::mt19937_64 random_{20261124};
};

}  // namespace ebb::test
