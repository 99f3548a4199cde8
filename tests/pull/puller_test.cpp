// Whole snapshots out of a store that is a directory: chains, what is refused, what stays on disk.
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include "tests/pull/rig.hpp"

namespace ebb::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Chains : public PullRig {
 protected:
  /// full, one, two, ... in the store; weights_[i] are those of the i-th.
  void write_chain(int increments, const DeltaStyle& style = {}) {
    weights_ = {random_shards(random_, 4, 200'000)};
    names_ = {"full"};
    write_full(store_path() + "/full", weights_[0], "000000");
    for (int i = 1; i <= increments; ++i) add(style);
  }
  void add(DeltaStyle style) {
    const auto number = weights_.size();
    if (style.version.empty()) {
      style.version = "00000" + std::to_string(number);
      style.base_version = "00000" + std::to_string(number - 1);
    }
    weights_.push_back(mutated(weights_.back(), random_, 0.02, 0.8));
    names_.push_back("inc" + std::to_string(number));
    write_increment(store_path() + "/" + names_.back(), weights_[number - 1], weights_.back(), style);
  }
  std::vector<Shards> weights_;
  std::vector<std::string> names_;
};

TEST_F(Chains, EndInTheTrainersWeights) {
  for (const char* encoding : {"xor", "overwrite"}) {
    for (const char* checksum : {"xxh3-128", "adler32"}) {
      SCOPED_TRACE(std::string(encoding) + " " + checksum);
      fs::remove_all(store_path());
      fs::remove_all(root_ + "/local");
      open();
      write_chain(4, DeltaStyle{encoding, checksum, "", "", std::string(encoding) == "xor"});
      const Status done = pull(names_);
      ASSERT_TRUE(done.ok()) << done.error().what;
      expect_weights("inc4", weights_[4]);
      expect_weights("full", weights_[0]);
      EXPECT_EQ(progress_->done.load(), progress_->total.load());
      EXPECT_EQ(read_all(local("inc4") + "/tokenizer/vocab.txt"), "a\nb\n");
      EXPECT_THAT(read_all(local("inc4") + "/model.safetensors.index.json"), HasSubstr("000004"));
    }
  }
}

TEST_F(Chains, GoOnFromTheNewestThatIsHere) {
  write_chain(3);
  ASSERT_TRUE(pull({"full", "inc1"}).ok());
  fs::remove_all(store_path() + "/full");
  fs::remove_all(store_path() + "/inc1");
  const Status done = pull(names_);
  ASSERT_TRUE(done.ok()) << done.error().what;
  expect_weights("inc3", weights_[3]);
}

TEST_F(Chains, MayBeGivenFromAParentThatIsHere) {
  write_chain(2);
  ASSERT_TRUE(pull({"full", "inc1"}).ok());
  const Status done = pull({"inc2"}, "inc1");
  ASSERT_TRUE(done.ok()) << done.error().what;
  expect_weights("inc2", weights_[2]);
}

TEST_F(Chains, SayWhichLinkIsMissing) {
  write_chain(2);
  const Status absent = pull({"inc2"}, "inc1");
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, ErrorCode::not_found);
  EXPECT_THAT(absent.error().what, HasSubstr("'inc2' stands on 'inc1', which is not here"));
  fs::remove_all(store_path() + "/inc1");
  const Status gone = pull(names_);
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.error().code, ErrorCode::not_found);
  EXPECT_TRUE(gone.error().retryable);
  EXPECT_THAT(gone.error().what, HasSubstr("inc1"));
  EXPECT_FALSE(shelf_->find("inc2"));
}

TEST_F(Chains, LeaveTheOldDirectoryAloneAndShareWhatDidNotChange) {
  write_chain(0);
  weights_.push_back(weights_[0]);
  Shards& after = weights_.back();
  after["model-2.safetensors"][0].bytes[77] ^= 1;
  write_increment(store_path() + "/inc1", weights_[0], after, {"xor", "xxh3-128", "000001", "000000"});
  ASSERT_TRUE(pull({"full"}).ok());
  std::ifstream reader(local("full") + "/model-2.safetensors", std::ios::binary);
  const auto before = inode(local("full") + "/model-2.safetensors");
  ASSERT_TRUE(pull({"full", "inc1"}).ok());
  expect_weights("full", weights_[0]);
  expect_weights("inc1", after);
  EXPECT_EQ(inode(local("full") + "/model-2.safetensors"), before);
  EXPECT_NE(inode(local("inc1") + "/model-2.safetensors"), before);
  EXPECT_EQ(inode(local("inc1") + "/model-1.safetensors"), inode(local("full") + "/model-1.safetensors"));
  EXPECT_EQ(fs::status(local("inc1") + "/model-1.safetensors").permissions() & fs::perms::owner_write, fs::perms::none);
}

TEST_F(Chains, TakeAnIncrementThatChangesNothing) {
  write_chain(0);
  write_increment(store_path() + "/inc1", weights_[0], weights_[0], {"xor", "xxh3-128", "000001", "000000"});
  const Status done = pull({"full", "inc1"});
  ASSERT_TRUE(done.ok()) << done.error().what;
  expect_weights("inc1", weights_[0]);
}

TEST_F(Chains, ApplyAnIncrementOnceHoweverOftenItIsAskedFor) {
  write_chain(1);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(pull(names_).ok());
    if (i == 1) open();
  }
  expect_weights("inc1", weights_[1]);
}

TEST_F(Chains, RefuseIncrementsOutOfOrder) {
  write_chain(2);
  ASSERT_TRUE(pull({"full"}).ok());
  const Status done = pull({"inc2"}, "full");
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::conflict);
  EXPECT_FALSE(done.error().retryable);
  EXPECT_THAT(done.error().what, HasSubstr("inc2 goes on version '000001', and full is '000000'"));
}

TEST_F(Chains, KnowTheWrongBaseByItsChecksumsWhenNothingIsNumbered) {
  write_chain(0);
  const Shards one = mutated(weights_[0], random_, 0.02, 1);
  const Shards two = mutated(one, random_, 0.02, 1);
  DeltaStyle unnumbered;
  write_increment(store_path() + "/inc2", one, two, unnumbered);
  const Status done = pull({"full", "inc2"});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::malformed);
  EXPECT_THAT(done.error().what, HasSubstr("does not belong on these weights"));
  EXPECT_FALSE(shelf_->find("inc2"));
  EXPECT_FALSE(fs::exists(local("inc2")));
  expect_weights("full", weights_[0]);
}

TEST_F(Chains, CheckEveryLinkOnTheWay) {
  // The middle one's checksum is of other weights; the last one's would still fit, since xor does not care.
  write_chain(0);
  const Shards one = mutated(weights_[0], random_, 0.01, 1);
  const Shards two = mutated(one, random_, 0.01, 1);
  write_increment(store_path() + "/inc1", weights_[0], one, {});
  write_increment(store_path() + "/inc2", one, two, {});
  const std::string name = "model-00001-of-00004.safetensors";
  std::string file = read_all(store_path() + "/inc1/" + name);
  const std::string sum = xxh3_hex(one.at("model-0.safetensors").at(0).bytes);
  const auto at = file.find(sum);
  ASSERT_NE(at, std::string::npos);
  file[at] = file[at] == '0' ? '1' : '0';
  write_file(store_path() + "/inc1/" + name, file);
  const Status done = pull({"full", "inc1", "inc2"});
  ASSERT_FALSE(done.ok());
  EXPECT_THAT(done.error().what, HasSubstr("inc1: tensor 'layers.0.attention'"));
}

struct Damage {
  const char* name;
  int line;
  std::map<std::string, std::string> files;
  std::map<std::string, std::string> map;
  const char* says;
};

constexpr const char* kShard = "model-00001-of-00001.safetensors";

/// An increment of one tensor that leaves it as it is.
std::string one_tensor(const std::string& name, const char* dtype, const std::string& sum) {
  const std::string payload = zstd_frame(std::string(3, '\0'));
  std::map<std::string, std::string> sums;
  if (!sum.empty()) sums[name] = sum;
  return safetensors_text({{name, dtype, {payload.size()}, payload}}, sums);
}

std::vector<Damage> damages(const std::string& who, const std::string& sum) {
  const std::string good = one_tensor(who, "U8", sum);
  const std::string stranger = one_tensor("x", "U8", sum);
  const std::string cut = good.substr(0, good.size() - 1);
  return {
      {"no checksum", __LINE__, {{kShard, one_tensor(who, "U8", "")}}, {{who, kShard}}, "no checksum"},
      {"no U8", __LINE__, {{kShard, one_tensor(who, "I8", sum)}}, {{who, kShard}}, "no row of U8"},
      {"unknown tensor", __LINE__, {{kShard, stranger}}, {{"x", kShard}}, "not one of the weights"},
      {"tensor not listed", __LINE__, {{kShard, good}}, {{"x", kShard}}, "which the index does not say"},
      {"file not listed", __LINE__, {{kShard, good}}, {}, "the index does not name"},
      {"listed and absent", __LINE__, {{kShard, good}}, {{who, kShard}, {"y", kShard}}, "lists 'y'"},
      {"file absent", __LINE__, {}, {{who, kShard}}, "which is not there"},
      {"cut shard", __LINE__, {{kShard, cut}}, {{who, kShard}}, "outside"},
      {"cut head", __LINE__, {{kShard, good.substr(0, 20)}}, {{who, kShard}}, "its head has"},
      {"no file at all", __LINE__, {{kShard, ""}}, {{who, kShard}}, "too short"},
  };
}

TEST_F(Chains, RefuseDamagedIncrements) {
  write_chain(0);
  ASSERT_TRUE(pull({"full"}).ok());
  const std::string who = "layers.0.flag";
  const std::string sum = xxh3_hex(weights_[0].at("model-0.safetensors").at(4).bytes);
  for (const Damage& row : damages(who, sum)) {
    SCOPED_TRACE(std::string(row.name) + " line " + std::to_string(row.line));
    fs::remove_all(store_path() + "/bad");
    write_increment_files(store_path() + "/bad", row.files, row.map, {});
    const Status done = pull({"full", "bad"});
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code, ErrorCode::malformed);
    EXPECT_FALSE(done.error().retryable);
    EXPECT_THAT(done.error().what, HasSubstr(row.says));
    EXPECT_FALSE(fs::exists(local("bad")));
  }
  write_increment_files(store_path() + "/good", {{kShard, one_tensor(who, "U8", sum)}}, {{who, kShard}}, {});
  const Status done = pull({"full", "good"});
  EXPECT_TRUE(done.ok()) << done.error().what;
}

TEST_F(Chains, TellFullOnesAndIncrementsApart) {
  write_chain(1);
  const Status increment = pull({"inc1"});
  ASSERT_FALSE(increment.ok());
  EXPECT_FALSE(shelf_->find("inc1"));
  fs::copy(store_path() + "/full/config.json", store_path() + "/inc1/config.json");
  EXPECT_THAT(pull({"inc1"}).error().what, HasSubstr("it is an increment"));
  write_full(store_path() + "/other", weights_[0], "000001");
  const Status full = pull({"full", "other"});
  ASSERT_FALSE(full.ok());
  EXPECT_THAT(full.error().what, HasSubstr("no delta_encoding"));
}

TEST_F(Chains, RefuseFullOnesThatAreNotWhole) {
  write_chain(0);
  const auto broken = [&](const std::function<void(const std::string&)>& damage) {
    fs::remove_all(store_path() + "/bad");
    fs::copy(store_path() + "/full", store_path() + "/bad", fs::copy_options::recursive);
    damage(store_path() + "/bad");
    const Status done = pull({"bad"});
    EXPECT_FALSE(fs::exists(local("bad")));
    return done.ok() ? std::string("nothing is wrong") : done.error().what;
  };
  const std::string shard = "/model-1.safetensors";
  EXPECT_THAT(broken([&](const std::string& d) { fs::resize_file(d + shard, fs::file_size(d + shard) - 1); }),
              HasSubstr("outside"));
  EXPECT_THAT(broken([&](const std::string& d) { fs::remove(d + shard); }), HasSubstr("which is not there"));
  EXPECT_THAT(broken([&](const std::string& d) { fs::remove(d + "/config.json"); }), HasSubstr("no config.json"));
  EXPECT_THAT(broken([&](const std::string& d) { write_file(d + "/config.json", "{"); }),
              HasSubstr("config.json: not JSON"));
  EXPECT_THAT(broken([&](const std::string& d) { fs::remove(d + "/model.safetensors.index.json"); }),
              HasSubstr("no model.safetensors.index.json"));
  EXPECT_THAT(broken([&](const std::string& d) { fs::copy(d + shard, d + "/model-9.safetensors"); }),
              HasSubstr("does not say"));
  // Mended in the store, it is taken.
  EXPECT_TRUE(pull({"full"}).ok());
}

TEST_F(Chains, TakeAdaptersAsTheyAre) {
  write_file(store_path() + "/lora/adapter_config.json", "{}");
  write_file(store_path() + "/lora/adapter_model.safetensors", safetensors_text({{"a", "U8", {3}, "abc"}}, {}));
  write_file(store_path() + "/lora/.gitattributes", "hidden");
  const Status done = pull({"lora"});
  ASSERT_TRUE(done.ok()) << done.error().what;
  EXPECT_FALSE(fs::exists(local("lora") + "/.gitattributes"));
}

TEST_F(Chains, KeepWhatWasAskedForLast) {
  write_chain(3);
  ASSERT_TRUE(pull({"full", "inc1"}).ok());
  ASSERT_TRUE(pull({"inc2"}, "inc1").ok());
  const auto here = [&] {
    std::vector<std::string> names;
    for (const auto& one : shelf_->all()) names.push_back(one.identity);
    return names;
  };
  EXPECT_THAT(here(), ElementsAre("inc2", "inc1"));
  EXPECT_FALSE(fs::exists(local("full")));
  ASSERT_TRUE(pull({"inc1"}, "full").ok()) << "it is here; its parent need not be";
  ASSERT_TRUE(pull({"inc3"}, "inc2").ok());
  EXPECT_THAT(here(), ElementsAre("inc3", "inc1"));
  open();
  EXPECT_THAT(here(), ElementsAre("inc3", "inc1"));
}

TEST_F(Chains, RefuseAnotherParentUnderTheSameName) {
  write_chain(2);
  ASSERT_TRUE(pull(names_).ok());
  const Status done = pull({"inc2"}, "full");
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::conflict);
}

TEST_F(Chains, LeaveForeignDirectoriesAlone) {
  write_chain(0);
  write_file(local("full") + "/mine.txt", "mine");
  const Status done = pull({"full"});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::conflict);
  EXPECT_EQ(read_all(local("full") + "/mine.txt"), "mine");
  open();
  EXPECT_EQ(read_all(local("full") + "/mine.txt"), "mine");
}

TEST_F(Chains, NeverTrustADirectoryThatIsNotWhatItsMarkerSays) {
  write_chain(0);
  ASSERT_TRUE(pull({"full"}).ok());
  fs::permissions(local("full") + "/model-1.safetensors", fs::perms::owner_write, fs::perm_options::add);
  fs::resize_file(local("full") + "/model-1.safetensors", 10);
  open();
  EXPECT_FALSE(shelf_->find("full"));
  ASSERT_TRUE(pull({"full"}).ok());
  expect_weights("full", weights_[0]);
}

TEST_F(Chains, CleanUpWhatACrashLeft) {
  write_chain(1);
  ASSERT_TRUE(pull({"full"}).ok());
  write_file(root_ + "/local/.ebb-pull/build/inc1/model-0.safetensors", "half");
  write_file(root_ + "/local/.ebb-pull/trash/7/model-0.safetensors", "half");
  write_file(root_ + "/local/.ebb-pull/download/gone/model-0.safetensors", "half");
  open();
  EXPECT_TRUE(fs::is_empty(root_ + "/local/.ebb-pull/build"));
  EXPECT_TRUE(fs::is_empty(root_ + "/local/.ebb-pull/trash"));
  EXPECT_FALSE(shelf_->find("inc1"));
  ASSERT_TRUE(pull(names_).ok());
  expect_weights("inc1", weights_[1]);
  EXPECT_TRUE(fs::is_empty(root_ + "/local/.ebb-pull/download"));
}

TEST_F(Chains, HaveOneProcessPerDirectory) {
  const auto second = pull::Shelf::open(root_ + "/local");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
}

TEST_F(Chains, RefuseKeysThatLeaveTheDirectory) {
  write_file(store_path() + "/evil/a\\b.txt", "x");
  const Status done = pull({"evil"});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::malformed);
  EXPECT_THAT(done.error().what, HasSubstr("backslash"));
}

}  // namespace
}  // namespace ebb::test
