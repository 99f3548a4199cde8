// Parts, retries and what a killed download leaves.
#include <gmock/gmock.h>

#include <atomic>
#include <cstring>
#include <mutex>

#include "daemon/pull/files.hpp"
#include "tests/pull/rig.hpp"

namespace ebb::test {
namespace {

namespace fs = std::filesystem;
using pull::Object;
using pull::Stop;
using ::testing::HasSubstr;

/// Holds its objects in memory, counts what it is asked for, and fails on request.
class MemoryStore final : public pull::Store {
 public:
  struct Entry {
    std::string bytes;
    std::string tag;
  };
  Result<std::vector<Object>> list(const std::string&, const Stop&) override {
    std::vector<Object> out;
    for (const auto& [name, entry] : entries) out.push_back({name, entry.bytes.size(), entry.tag});
    return out;
  }
  std::unique_ptr<pull::Reader> reader() override { return std::make_unique<MemoryReader>(*this); }
  [[nodiscard]] std::string place(const std::string& identity) const override { return "memory:" + identity; }

  std::map<std::string, Entry> entries;
  std::atomic<int> reads = 0;
  std::atomic<std::uint64_t> bytes_read = 0;
  int fail_after = -1;  ///< this many more reads go well; -1: all
  Error error{ErrorCode::unreachable, "connection lost", true};
  int failures = 1'000'000;  ///< and then this many fail

 private:
  bool fails() {
    const std::lock_guard lock(mutex_);
    if (fail_after < 0) return false;
    if (fail_after > 0) return --fail_after, false;
    return failures-- > 0;
  }
  std::mutex mutex_;

  class MemoryReader final : public pull::Reader {
   public:
    explicit MemoryReader(MemoryStore& store) : store_(store) {}
    Status read(const std::string&, const Object& object, std::uint64_t offset, std::uint64_t length, int to,
                const Stop&) override {
      ++store_.reads;
      const std::string& bytes = store_.entries.at(object.name).bytes;
      const auto piece = std::as_bytes(std::span(bytes)).subspan(offset, length);
      if (store_.fails()) {
        // Half of it came.
        (void)pull::write_exactly(to, offset, piece.first(length / 2), "part");
        return store_.error;
      }
      store_.bytes_read += length;
      return pull::write_exactly(to, offset, piece, "part");
    }

   private:
    MemoryStore& store_;
  };
};

class Transfers : public PullRig {
 protected:
  Transfers() {
    for (const std::size_t size : {0u, 1u, 65'536u, 65'537u, 1'000'003u}) {
      std::string bytes(size, '\0');
      for (char& c : bytes) c = static_cast<char>(random_());
      memory_.entries["file-" + std::to_string(size)] = {bytes, "\"1\""};
    }
    options_.transfer.tries = 3;
  }
  Status fetch() {
    const Stop stop;
    progress_ = std::make_unique<pull::Progress>();
    const pull::Wanted wanted{"x", *memory_.list("x", stop), root_ + "/down", root_ + "/down#journal"};
    return pull::download(memory_, wanted, options_.transfer, *progress_, stop);
  }
  void expect_all() {
    for (const auto& [name, entry] : memory_.entries)
      EXPECT_TRUE(read_all(root_ + "/down/" + name) == entry.bytes) << name;
    EXPECT_EQ(progress_->done.load(), total());
  }
  [[nodiscard]] std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const auto& [name, entry] : memory_.entries) sum += entry.bytes.size();
    return sum;
  }
  MemoryStore memory_;
};

TEST_F(Transfers, BringEveryByteOnce) {
  ASSERT_TRUE(fetch().ok());
  expect_all();
  EXPECT_EQ(memory_.bytes_read.load(), total());
  ASSERT_TRUE(fetch().ok());
  EXPECT_EQ(memory_.bytes_read.load(), total()) << "nothing is fetched twice";
  expect_all();
}

TEST_F(Transfers, TryAPartAgain) {
  memory_.fail_after = 4;
  memory_.failures = 2;
  const Status done = fetch();
  ASSERT_TRUE(done.ok()) << done.error().what;
  expect_all();
}

TEST_F(Transfers, GiveUpAfterSomeTriesAndGoOnLater) {
  options_.transfer.parallel = 1;
  memory_.fail_after = 9;
  const Status done = fetch();
  ASSERT_FALSE(done.ok());
  EXPECT_TRUE(done.error().retryable);
  EXPECT_EQ(memory_.reads.load(), 9 + 3);
  memory_.fail_after = -1;
  ASSERT_TRUE(fetch().ok());
  expect_all();
  EXPECT_EQ(memory_.bytes_read.load(), total()) << "what had come was not fetched again";
}

TEST_F(Transfers, DoNotRepeatWhatCannotHelp) {
  memory_.fail_after = 0;
  memory_.error = Error{ErrorCode::denied, "HTTP 403", false};
  options_.transfer.parallel = 1;
  EXPECT_EQ(fetch().error().code, ErrorCode::denied);
  EXPECT_EQ(memory_.reads.load(), 1);
}

TEST_F(Transfers, BeginAnewWhenAnObjectChanged) {
  options_.transfer.parallel = 1;
  memory_.fail_after = 6;
  memory_.error = Error{ErrorCode::conflict, "changed", true};
  ASSERT_FALSE(fetch().ok());
  memory_.fail_after = -1;
  memory_.bytes_read = 0;
  auto& large = memory_.entries.at("file-1000003");
  for (char& c : large.bytes) c = static_cast<char>(c ^ 1);
  large.tag = "\"2\"";
  ASSERT_TRUE(fetch().ok());
  expect_all();
  EXPECT_GE(memory_.bytes_read.load(), large.bytes.size());
}

TEST_F(Transfers, BelieveNoJournalOfAnotherBootOrPartSizeAndNoTornLine) {
  options_.transfer.parallel = 1;
  memory_.fail_after = 8;
  ASSERT_FALSE(fetch().ok());
  memory_.fail_after = -1;
  const std::string journal = read_all(root_ + "/down#journal");
  for (const std::string& text :
       {std::string("{\"boot\":\"other\",\"part_bytes\":65536}") + journal.substr(journal.find('\n')),
        std::string("{\"boot\":"), std::string("\n\n[]\n{\"name\":1}\n")}) {
    write_file(root_ + "/down#journal", text);
    for (const auto& entry : fs::directory_iterator(root_ + "/down")) {
      // Whole files were synced before their line, and count: so does a power failure leave them.
      if (text.find("whole") != std::string::npos && entry.file_size() < 100'000) continue;
      write_file(entry.path().string(), std::string(entry.file_size(), '?'));
    }
    ASSERT_TRUE(fetch().ok());
    expect_all();
  }
}

TEST_F(Transfers, RemoveFilesThatTheSnapshotDoesNotHaveAnyMore) {
  ASSERT_TRUE(fetch().ok());
  write_file(root_ + "/down/old/stranger", "x");
  ASSERT_TRUE(fetch().ok());
  EXPECT_FALSE(fs::exists(root_ + "/down/old/stranger"));
}

TEST_F(Transfers, SayThatTheDiskIsTooSmallBeforeTheyBegin) {
  const Status room = pull::check_room(root_, 1ull << 60);
  ASSERT_FALSE(room.ok());
  EXPECT_EQ(room.error().code, ErrorCode::exhausted);
  EXPECT_THAT(room.error().what, HasSubstr("MiB more are needed"));
}

TEST_F(Transfers, EndWhenAsked) {
  Stop outer;
  Stop inner(&outer);
  outer.request();
  EXPECT_TRUE(inner.requested());
  const auto nothing = [](std::size_t) { return Status(Done{}); };
  const Status done = pull::in_parallel(2, 10, inner, [&] { return pull::Task(nothing); });
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace ebb::test
