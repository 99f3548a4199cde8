// What the verifier says of snapshots that are whole, half there, damaged, or not what they were said to be.
#include <gtest/gtest.h>

#include <functional>

#include "daemon/runtime/store_verifier.hpp"
#include "tests/support/memory_store.hpp"
#include "tests/support/run.hpp"
#include "tests/support/virtual_clock.hpp"

namespace ebb::test {
namespace {

const Identity kFull("run7-step-000001"), kNext("run7-step-000002"), kThird("run7-step-000003");
constexpr const char* kIndex = "model.safetensors.index.json";

Snapshot full(const Identity& identity = kFull) {
  Snapshot out;
  out.said.identity = identity;
  return out;
}
Snapshot incremental(const Identity& identity = kNext, const Identity& parent = kFull) {
  Snapshot out = full(identity);
  out.said.kind = SnapshotKind::incremental;
  out.said.parent = parent;
  return out;
}

struct Rig {
  VirtualClock clock{TimePoint{Duration{1'767'225'600'000}}};
  std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
  std::unique_ptr<StoreVerifier> verifier;

  explicit Rig(bool adapter = false) : verifier(std::make_unique<StoreVerifier>(store, adapter, clock)) {
    if (!adapter) store->snapshots[kFull] = model_files(20);
  }
  void forget() { verifier = std::make_unique<StoreVerifier>(store, false, clock); }
  Verdict look(const Snapshot& snapshot, std::optional<Snapshot> parent = std::nullopt) {
    boost::asio::io_context io;
    const auto verdict = start(io, verifier->verify(snapshot, std::move(parent), clock.now() + Duration{10'000}));
    clock.run_for(io, Duration{10'000});
    return verdict->value();
  }
};

using Kind = Verdict::Kind;

TEST(StoreVerifier, AWholeSnapshotIsVerifiedWithTheBytesOfAllItsFiles) {
  Rig rig;
  const Verdict verdict = rig.look(full());
  EXPECT_EQ(verdict.kind, Kind::verified) << verdict.reason;
  std::int64_t bytes = 0;
  for (const auto& [name, text] : rig.store->snapshots[kFull]) bytes += static_cast<std::int64_t>(text.size());
  EXPECT_EQ(verdict.bytes, bytes);
  EXPECT_EQ(rig.store->reads, 22);  // the index, config.json, and each file once
}

struct Damage {
  int line;
  const char* name;
  std::function<void(std::map<std::string, std::string>&)> how;
  Kind in_a_bucket;
  const char* reason;
};

const std::vector<Damage>& damages() {
  using Files = std::map<std::string, std::string>;
  static const std::vector<Damage> all{
      {__LINE__, "nothing there", [](Files& f) { f.clear(); }, Kind::waiting, "nothing at"},
      {__LINE__, "no index", [](Files& f) { f.erase(kIndex); }, Kind::waiting, "index.json is missing"},
      {__LINE__, "no config", [](Files& f) { f.erase("config.json"); }, Kind::waiting, "config.json is missing"},
      {__LINE__, "a file missing", [](Files& f) { f.erase("model-7.safetensors"); }, Kind::waiting,
       "model-7.safetensors is missing"},
      {__LINE__, "two files missing", [](Files& f) { f.erase("model-7.safetensors"), f.erase("model-8.safetensors"); },
       Kind::waiting, "model-7.safetensors and 1 more are missing"},
      {__LINE__, "a byte short", [](Files& f) { f["model-3.safetensors"].pop_back(); }, Kind::malformed,
       "its header says"},
      {__LINE__, "a byte long", [](Files& f) { f["model-3.safetensors"] += 'x'; }, Kind::malformed, "its header says"},
      {__LINE__, "ends inside the header", [](Files& f) { f["model-3.safetensors"].resize(30); }, Kind::malformed,
       "ends inside its header"},
      {__LINE__, "ends inside the length", [](Files& f) { f["model-3.safetensors"].resize(5); }, Kind::malformed,
       "shorter than 8 bytes"},
      {__LINE__, "empty", [](Files& f) { f["model-3.safetensors"].clear(); }, Kind::malformed, "shorter than 8 bytes"},
      {__LINE__, "zeros, as a writer leaves them that has not come that far",
       [](Files& f) { f["model-3.safetensors"].assign(200, '\0'); }, Kind::malformed, "length of a header"},
      {__LINE__, "another layer's tensors", [](Files& f) { f["model-3.safetensors"] = f["model-4.safetensors"]; },
       Kind::malformed, "layers.3.down is not in it"},
      {__LINE__, "a tensor too many",
       [](Files& f) {
         f["model-3.safetensors"] = tensor_file({"layers.3.up", "layers.3.down", "layers.3.side"});
       },
       Kind::malformed, "layers.3.side is in it, and not in the index"},
      {__LINE__, "half an index", [](Files& f) { f[kIndex].resize(f[kIndex].size() / 2); }, Kind::malformed,
       "no JSON object"},
      {__LINE__, "an index without tensors", [](Files& f) { f[kIndex] = R"({"weight_map":{}})"; }, Kind::malformed,
       "names no tensor"},
      {__LINE__, "an index that leads out", [](Files& f) { f[kIndex] = R"({"weight_map":{"a":"../x.safetensors"}})"; },
       Kind::malformed, "none of the snapshot's own"},
      {__LINE__, "an increment said to be full", [](Files& f) { f = delta_files("000002", "000001"); }, Kind::malformed,
       "published as full"},
      {__LINE__, "config.json is no JSON", [](Files& f) { f["config.json"] = "{"; }, Kind::malformed, "it is no JSON"},
  };
  return all;
}

TEST(StoreVerifier, SaysWhatIsMissingAndWhatIsDamaged) {
  for (const Damage& row : damages()) {
    Rig rig;
    row.how(rig.store->snapshots[kFull]);
    const Verdict verdict = rig.look(full());
    EXPECT_EQ(verdict.kind, row.in_a_bucket) << row.name << ", line " << row.line << ": " << verdict.reason;
    EXPECT_NE(verdict.reason.find(row.reason), std::string::npos) << row.name << ": " << verdict.reason;
  }
}

TEST(StoreVerifier, InADirectoryWhatIsDamagedMayStillBeBeingWritten) {
  for (const Damage& row : damages()) {
    Rig rig;
    rig.store->whole = false;
    const auto whole = rig.store->snapshots[kFull];
    row.how(rig.store->snapshots[kFull]);
    EXPECT_EQ(rig.look(full()).kind, Kind::waiting) << row.name << ", line " << row.line;
    rig.store->snapshots[kFull] = whole;
    EXPECT_EQ(rig.look(full()).kind, Kind::verified) << row.name << ", line " << row.line;
  }
}

TEST(StoreVerifier, AStoreThatDeniesReadsIsWaitedForWithItsReason) {
  Rig rig;
  rig.store->unreadable.insert({"model-5.safetensors", Error{ErrorCode::denied, "read model-5: AccessDenied", false}});
  const Verdict verdict = rig.look(full());
  EXPECT_EQ(verdict.kind, Kind::waiting);
  EXPECT_EQ(verdict.reason, "read model-5: AccessDenied");
}

TEST(StoreVerifier, AHeaderLongerThanTheFirstReadIsReadToItsEnd) {
  Rig rig;
  std::vector<std::string> many;
  std::map<std::string, std::string> map;
  for (int i = 0; i < 3'000; ++i) {
    many.push_back("model.layers." + std::to_string(i) + ".mlp.experts.weight");
    map[many.back()] = "all.safetensors";
  }
  rig.store->snapshots[kFull] = {
      {"config.json", "{}"}, {kIndex, index_file(map)}, {"all.safetensors", tensor_file(many)}};
  ASSERT_GT(rig.store->snapshots[kFull]["all.safetensors"].size(), 100'000u);
  const Verdict verdict = rig.look(full());
  EXPECT_EQ(verdict.kind, Kind::verified) << verdict.reason;
}

TEST(StoreVerifier, AReasonIsOneShortLineWhateverAnUploaderWrote) {
  Rig rig;
  const std::string name = "a\\n" + std::string(5'000, 'x');
  rig.store->snapshots[kFull] = {{"config.json", "{}"}, {kIndex, index_file({{name, "f.safetensors"}})}};
  rig.store->snapshots[kFull]["f.safetensors"] = tensor_file({"b"});
  const Verdict verdict = rig.look(full());
  EXPECT_EQ(verdict.kind, Kind::malformed);
  EXPECT_EQ(verdict.reason.size(), 500u);
  EXPECT_EQ(verdict.reason.find('\n'), std::string::npos);
}

TEST(StoreVerifier, AModelInOneFileNeedsNoIndex) {
  Rig rig;
  rig.store->snapshots[kFull] = {{"config.json", "{}"}, {"model.safetensors", tensor_file({"a", "b"})}};
  EXPECT_EQ(rig.look(full()).kind, Kind::verified);
}

TEST(StoreVerifier, AnIncrementOfSlimesKindNeedsItsParentsVersionAndTensors) {
  Rig rig;
  rig.store->snapshots[kNext] = delta_files("000002", "000001");
  Verdict verdict = rig.look(incremental(), full());
  EXPECT_EQ(verdict.kind, Kind::verified) << verdict.reason;

  rig.store->snapshots[kNext] = delta_files("000002", "000000");
  verdict = rig.look(incremental(), full());
  EXPECT_EQ(verdict.kind, Kind::malformed);
  EXPECT_NE(verdict.reason.find("base_version is 000000"), std::string::npos) << verdict.reason;

  rig.store->snapshots[kNext] = delta_files("000002", "000001");
  rig.store->snapshots[kNext]["model-1.safetensors"] = tensor_file({"other"}, 6, R"({"other":"00"})");
  rig.store->snapshots[kNext][kIndex] = index_file(
      {{"other", "model-1.safetensors"}},
      R"({"delta_encoding":"xor","compression_format":"zstd","checksum_format":"adler32","base_version":"000001"})");
  verdict = rig.look(incremental(), full());
  EXPECT_EQ(verdict.kind, Kind::malformed);
  EXPECT_NE(verdict.reason.find("other is not in its parent"), std::string::npos) << verdict.reason;
}

TEST(StoreVerifier, AnIncrementWithoutChecksumsOrWithAnUnknownEncodingIsMalformed) {
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"xor\"", "\"xor2\""}, {"\"zstd\"", "\"lz4\""}, {"\"adler32\"", "\"crc\""}, {"base_version", "basis"}}) {
    Rig rig;
    rig.store->snapshots[kNext] = delta_files("000002", "000001");
    std::string& index = rig.store->snapshots[kNext][kIndex];
    index.replace(index.find(from), from.size(), to);
    EXPECT_EQ(rig.look(incremental(), full()).kind, Kind::malformed) << to;
  }
  Rig rig;
  rig.store->snapshots[kNext] = delta_files("000002", "000001");
  rig.store->snapshots[kNext]["model-1.safetensors"] = tensor_file({"layers.0.up"});
  const Verdict verdict = rig.look(incremental(), full());
  EXPECT_EQ(verdict.kind, Kind::malformed);
  EXPECT_NE(verdict.reason.find("no checksum"), std::string::npos) << verdict.reason;
}

TEST(StoreVerifier, AVendorsIncrementHasItsParentsIndex) {
  Rig rig;
  rig.store->snapshots[kNext] = model_files(20, "000002");
  EXPECT_EQ(rig.look(incremental(), full()).kind, Kind::verified);
  rig.store->snapshots[kNext] = model_files(19, "000002");
  const Verdict verdict = rig.look(incremental(), full());
  EXPECT_EQ(verdict.kind, Kind::malformed);
  EXPECT_NE(verdict.reason.find("differs from that of its parent"), std::string::npos) << verdict.reason;
}

TEST(StoreVerifier, TheTensorsOfAChainAreThoseOfItsFullSnapshot) {
  Rig rig;
  rig.store->snapshots[kNext] = delta_files("000002", "000001");
  rig.store->snapshots[kThird] = delta_files("000003", "000002");
  auto& third = rig.store->snapshots[kThird];
  third["model-1.safetensors"] = tensor_file({"layers.9.up"}, 6, R"({"layers.9.up":"00"})");
  std::string& index = third[kIndex];
  index.replace(index.find("layers.0.up"), 11, "layers.9.up");
  ASSERT_EQ(rig.look(full()).kind, Kind::verified);
  ASSERT_EQ(rig.look(incremental(), full()).kind, Kind::verified);
  EXPECT_EQ(rig.look(incremental(kThird, kNext), incremental()).kind, Kind::verified);
}

TEST(StoreVerifier, AfterARestartTheParentIsReadAgain) {
  Rig rig;
  rig.store->snapshots[kNext] = delta_files("000002", "000007");
  rig.forget();
  EXPECT_EQ(rig.look(incremental(), full()).kind, Kind::malformed);
  rig.store->snapshots.erase(kFull);
  rig.forget();
  const Verdict verdict = rig.look(incremental(), full());
  EXPECT_EQ(verdict.kind, Kind::waiting);
  EXPECT_NE(verdict.reason.find("its parent run7-step-000001"), std::string::npos) << verdict.reason;
}

TEST(StoreVerifier, AdaptersAreVerifiedInAllTheirForms) {
  using Files = std::map<std::string, std::string>;
  const std::string tensors = tensor_file({"lora_A", "lora_B"});
  const std::vector<std::tuple<int, Files, Kind>> rows{
      {__LINE__, {{"adapter_config.json", "{}"}, {"adapter_model.safetensors", tensors}}, Kind::verified},
      {__LINE__, {{"adapter_config.json", "{}"}, {"adapter_model.bin", "PK"}}, Kind::verified},
      {__LINE__,
       {{"adapter_config.json", "{}"},
        {"adapter_model-00001-of-00002.safetensors", tensors},
        {"adapter_model-00002-of-00002.safetensors", tensors}},
       Kind::verified},
      {__LINE__, {{"adapter_config.json", "{}"}, {"adapter_model-00001-of-00002.safetensors", tensors}}, Kind::waiting},
      {__LINE__, {{"adapter_config.json", "{}"}}, Kind::waiting},
      {__LINE__, {{"adapter_model.safetensors", tensors}}, Kind::waiting},
      {__LINE__, {{"adapter_config.json", "{}"}, {"adapter_model.bin", ""}}, Kind::malformed},
      {__LINE__,
       {{"adapter_config.json", "{}"}, {"adapter_model.safetensors", tensors.substr(0, 20)}},
       Kind::malformed},
  };
  for (const auto& [line, files, kind] : rows) {
    Rig rig(true);
    rig.store->snapshots[kFull] = files;
    const Verdict verdict = rig.look(full());
    EXPECT_EQ(verdict.kind, kind) << "line " << line << ": " << verdict.reason;
  }
}

/// Answers nothing, ever.
class SilentStore final : public SnapshotStore {
 public:
  explicit SilentStore(Clock& clock) : clock_(clock) {}
  [[nodiscard]] bool whole_files() const override { return true; }
  awaitable<Result<std::vector<Identity>>> identities(TimePoint) override { co_return std::vector<Identity>(); }
  awaitable<Result<std::vector<StoredFile>>> list(Identity, TimePoint) override {
    const TimePoint tomorrow = clock_.now() + Duration(86'400'000);
    co_await clock_.sleep_until(tomorrow);
    co_return std::vector<StoredFile>();
  }
  awaitable<Result<std::string>> read(Identity, std::string, std::int64_t, std::int64_t, TimePoint) override {
    co_return std::string();
  }
  awaitable<Status> remove(Identity, TimePoint) override { co_return Done(); }

 private:
  Clock& clock_;
};

TEST(StoreVerifier, AStoreThatHangsIsWaitedForAndTheVerdictComesInTime) {
  VirtualClock clock{TimePoint{Duration{1'767'225'600'000}}};
  boost::asio::io_context io;
  StoreVerifier verifier(std::make_shared<SilentStore>(clock), false, clock);
  const auto verdict = start(io, verifier.verify(full(), std::nullopt, clock.now() + Duration{5'000}));
  clock.run_for(io, Duration{5'000});
  ASSERT_TRUE(verdict->has_value());
  EXPECT_EQ((*verdict)->kind, Kind::waiting);
  EXPECT_EQ((*verdict)->reason, "the store does not answer in time");
}

}  // namespace
}  // namespace ebb::test
