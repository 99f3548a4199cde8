// A store in a directory: what is there, in pieces, and nothing outside of it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "adapters/directory/directory_store.hpp"
#include "tests/runtime/temp_dir.hpp"
#include "tests/support/run.hpp"

namespace ebb::test {
namespace {

namespace fs = std::filesystem;
const TimePoint kLater{Duration{1'767'225'600'000}};
const Identity kOne("step-1");

struct Rig {
  TempDir dir;
  std::string root = dir / "store";
  DirectoryStore store{root};

  Rig() { fs::create_directories(root); }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root + "/" + path).parent_path());
    std::ofstream(root + "/" + path) << text;
  }
  auto list() { return run(store.list(kOne, kLater)); }
  auto read(const std::string& file, std::int64_t offset, std::int64_t bytes) {
    return run(store.read(kOne, file, offset, bytes, kLater));
  }
};

TEST(DirectoryStore, ListsFilesWithTheirSizesAlsoInDirectoriesOfTheirOwn) {
  Rig rig;
  rig.put("step-1/b", "12345");
  rig.put("step-1/a/c", "1");
  rig.put("step-2/x", "");
  EXPECT_EQ(*rig.list(), (std::vector<StoredFile>{{"a/c", 1}, {"b", 5}}));
  EXPECT_EQ(*run(rig.store.identities(kLater)), (std::vector<Identity>{kOne, Identity("step-2")}));
}

TEST(DirectoryStore, WhatIsNotThereIsNotFound) {
  Rig rig;
  EXPECT_EQ(rig.list().error().code, ErrorCode::not_found);
  fs::create_directories(rig.root + "/step-1");
  EXPECT_EQ(rig.list().error().code, ErrorCode::not_found);
  EXPECT_EQ(rig.read("x", 0, 1).error().code, ErrorCode::not_found);
  fs::remove_all(rig.root);
  EXPECT_EQ(run(rig.store.identities(kLater)).error().code, ErrorCode::not_found);
}

TEST(DirectoryStore, ReadsPiecesAndLessOnlyAtTheEnd) {
  Rig rig;
  rig.put("step-1/f", "0123456789");
  EXPECT_EQ(*rig.read("f", 3, 4), "3456");
  EXPECT_EQ(*rig.read("f", 8, 4), "89");
  EXPECT_EQ(*rig.read("f", 20, 4), "");
}

TEST(DirectoryStore, FollowsNoLinkAndNoWayOut) {
  Rig rig;
  rig.put("step-1/f", "own");
  std::ofstream(rig.dir / "secret") << "hunter2";
  fs::create_symlink(rig.dir / "secret", rig.root + "/step-1/link");
  EXPECT_EQ(rig.read("link", 0, 7).error().code, ErrorCode::invalid);
  EXPECT_EQ(rig.list().error().code, ErrorCode::invalid);
  for (const char* path : {"../../secret", "a/../../../secret", "./f", "", "/etc/passwd"}) {
    EXPECT_FALSE(rig.read(path, 0, 7).ok()) << path;
  }
  fs::remove(rig.root + "/step-1/link");
  fs::create_directory_symlink(rig.dir.path(), rig.root + "/step-3");
  EXPECT_EQ(run(rig.store.read(Identity("step-3"), "secret", 0, 7, kLater)).error().code, ErrorCode::invalid);
  EXPECT_EQ(*run(rig.store.identities(kLater)), std::vector<Identity>{kOne});
}

TEST(DirectoryStore, RemovesOneSnapshotWithAllItHasAndNothingThatALinkLeadsTo) {
  Rig rig;
  rig.put("step-1/a/b", "1");
  rig.put("step-2/x", "2");
  fs::create_directory_symlink(rig.root + "/step-2", rig.root + "/step-1/link");
  EXPECT_TRUE(run(rig.store.remove(kOne, kLater)).ok());
  EXPECT_FALSE(fs::exists(rig.root + "/step-1"));
  EXPECT_TRUE(fs::exists(rig.root + "/step-2/x"));
  EXPECT_TRUE(run(rig.store.remove(kOne, kLater)).ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(rig.root), fs::directory_iterator()), 1);
}

TEST(DirectoryStore, WhatADeletionLeftBehindWhenItBrokeOffIsNoSnapshotAndGoesWithTheNext) {
  Rig rig;
  rig.put(".removed-step-1/half", "1");
  EXPECT_TRUE(run(rig.store.identities(kLater))->empty());
  EXPECT_TRUE(run(rig.store.remove(kOne, kLater)).ok());
  EXPECT_TRUE(fs::is_empty(rig.root));
}

TEST(DirectoryStore, ANameThatIsNoIdentityIsNeverRemoved) {
  Rig rig;
  rig.put("step-1/f", "1");
  for (const char* name : {"", ".", "..", "a/b", "../store"}) {
    EXPECT_EQ(run(rig.store.remove(Identity(name), kLater)).error().code, ErrorCode::invalid) << name;
  }
  EXPECT_TRUE(fs::exists(rig.root + "/step-1/f"));
}

}  // namespace
}  // namespace ebb::test
