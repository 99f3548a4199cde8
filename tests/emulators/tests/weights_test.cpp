// The weight endpoints over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/emulators/common/clock.hpp"
#include "tests/emulators/engine/delta_pull.hpp"
#include "tests/emulators/engine/snapshot_files.hpp"
#include "tests/emulators/tests/harness.hpp"
#include "tests/emulators/trainer/weights.hpp"
#include "tests/emulators/trainer/writer.hpp"

namespace ebb::emulator {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

awaitable<void> get(HostPort at, std::string method, std::string path, std::string body, std::shared_ptr<Answer> answer,
                    bool* done) {
  auto got = co_await fetch(at, method, path, body, 10);
  if (got) *answer = std::move(*got);
  if (!got) answer->body = got.error().what;
  if (done != nullptr) *done = true;
}

struct TempDir {
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "ebb-engine-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct Rig {
  explicit Rig(Dialect dialect = Dialect::vllm) {
    config.dialect = dialect;
    config.updates.dev_mode = true;
  }
  ~Rig() {
    engine.reset();
    io.drop();
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;
  EngineService& service() {
    if (engine == nullptr) engine = std::make_unique<RunningEngine>(io, config);
    return engine->service;
  }
  Answer ask(const std::string& method, const std::string& path, const json& body = nullptr) {
    service();
    auto answer = std::make_shared<Answer>();
    run_until_done(io, get(engine->at, method, path, body.is_null() ? "" : body.dump(), answer, nullptr));
    return *answer;
  }
  /// Asked now, answered later.
  struct Later {
    std::shared_ptr<Answer> answer = std::make_shared<Answer>();
    std::shared_ptr<bool> done = std::make_shared<bool>(false);
  };
  Later begin(const std::string& method, const std::string& path, const json& body) {
    service();
    Later later;
    asio::co_spawn(io, get(engine->at, method, path, body.dump(), later.answer, later.done.get()),
                   [kept = later.done](std::exception_ptr) {});
    return later;
  }
  bool until(const std::function<bool()>& fits, double seconds = 10) {
    const double end = monotonic_seconds() + seconds;
    io.restart();
    while (!fits() && monotonic_seconds() < end) io.run_one_for(std::chrono::milliseconds(5));
    return fits();
  }
  Later generate(int tokens, const std::string& prompt = "a b c") {
    Later later = begin("POST", "/v1/completions", json{{"model", "m"}, {"prompt", prompt}, {"max_tokens", tokens}});
    EXPECT_TRUE(until([&] { return service().engine().in_flight() > 0 && service().engine().holding_blocks() > 0; }));
    return later;
  }
  json finished(const Later& later) {
    EXPECT_TRUE(until([&] { return *later.done; }));
    return json::parse(later.answer->body, nullptr, false);
  }
  std::string write(const std::string& name, std::uint64_t seed) {
    const SnapshotWriter writer(shape, DeltaEncoding::exclusive_or, ChecksumFormat::adler32);
    const Weights weights = initial_weights(shape, seed);
    EXPECT_TRUE(writer.full(files / name, weights, 0).ok());
    return digest_of(weights);
  }

  struct Io : asio::io_context {
    void drop() { shutdown(); }
  };
  TempDir files;
  ModelShape shape{1, 8, 16};
  ServiceConfig config = fast_config();
  Io io;
  std::unique_ptr<RunningEngine> engine;
};

TEST(WeightEndpoints, DoNotExistWithoutDevModeOrWhenTheyAreTakenAway) {
  Rig rig;
  rig.config.updates.dev_mode = false;
  EXPECT_EQ(rig.ask("POST", "/pause").status, 404);
  EXPECT_EQ(rig.ask("GET", "/weight_info").status, 404);
  Rig other;
  EXPECT_EQ(other.ask("GET", "/weight_info").status, 200);
  other.service().set_fault(*fault_from("no-dev-mode"));
  EXPECT_EQ(other.ask("GET", "/weight_info").status, 404);
}

TEST(WeightEndpoints, KeepFreezesWhatRunsAndHoldsWhatComes) {
  Rig rig;
  const auto first = rig.generate(200);
  EXPECT_EQ(rig.ask("POST", "/pause?mode=keep&clear_cache=false").body, R"({"status":"paused"})");
  EXPECT_EQ(rig.ask("GET", "/is_paused").body, R"({"is_paused":true})");
  const auto before = rig.service().engine().metrics().generation_tokens;
  const auto second = rig.begin("POST", "/v1/completions", json{{"model", "m"}, {"prompt", "x"}, {"max_tokens", 2}});
  EXPECT_FALSE(rig.until([&] { return *first.done || *second.done; }, 0.3));
  EXPECT_EQ(rig.service().engine().metrics().generation_tokens, before) << "no step is taken";
  EXPECT_EQ(rig.ask("POST", "/resume").body, R"({"status":"resumed"})");
  EXPECT_EQ(rig.finished(first).at("usage").at("completion_tokens"), 200);
  EXPECT_EQ(rig.finished(second).at("usage").at("completion_tokens"), 2);
}

TEST(WeightEndpoints, AbortEndsWhatRunsWithWhatThereIs) {
  Rig rig;
  const auto call = rig.generate(2'000);
  EXPECT_EQ(rig.ask("POST", "/pause").status, 200) << "abort is the default";
  const json answer = rig.finished(call);
  EXPECT_EQ(call.answer->status, 200);
  EXPECT_EQ(answer.at("choices").at(0).at("finish_reason"), "abort");
  const int count = answer.at("usage").at("completion_tokens");
  EXPECT_LT(count, 2'000);
  EXPECT_EQ(answer.at("choices").at(0).at("text"), TokenFunction("a b c", "w").text(count));
}

TEST(WeightEndpoints, WaitReturnsWhenWhatRunsHasEnded) {
  Rig rig;
  const auto call = rig.generate(150);
  const auto waiting = rig.begin("POST", "/pause?mode=wait", json::object());
  EXPECT_TRUE(rig.until([&] { return rig.service().engine().is_paused(); }));
  EXPECT_FALSE(*waiting.done);
  EXPECT_EQ(rig.finished(call).at("choices").at(0).at("finish_reason"), "length");
  EXPECT_EQ(rig.finished(waiting).at("status"), "paused");
  EXPECT_TRUE(rig.service().engine().is_still());
  EXPECT_EQ(rig.ask("POST", "/pause?mode=soon").status, 400);
}

TEST(WeightEndpoints, ALoadIsReadNamedAndSaidByEveryAnswer) {
  Rig rig;
  const std::string digest = rig.write("s1", 1);
  EXPECT_EQ(rig.ask("POST", "/start_weight_update", json::object()).status, 200);
  const json update{{"update_info", json{{"path", rig.files / "s1"}}}};
  EXPECT_EQ(rig.ask("POST", "/update_weights", update).body, R"({"message":"Weights updated"})");
  EXPECT_EQ(json::parse(rig.ask("GET", "/weight_info").body).at("weight_version"), "w") << "it was not named yet";
  EXPECT_EQ(rig.service().weights().weights().identity, "s1") << "the directory's name until then";
  EXPECT_EQ(rig.ask("POST", "/finish_weight_update", json{{"weight_version", "step-1"}}).status, 200);
  const json info = json::parse(rig.ask("GET", "/weight_info").body);
  EXPECT_EQ(info.at("weight_version"), "step-1");
  EXPECT_EQ(info.at("weights_digest"), digest) << "as whoever wrote the tensors computes it";
  const json body{{"model", "m"}, {"prompt", "a b c"}, {"max_tokens", 5}};
  const json answer = json::parse(rig.ask("POST", "/v1/completions", body).body);
  EXPECT_EQ(answer.at("system_fingerprint"), "step-1");
  EXPECT_EQ(answer.at("weights_digest"), digest);
  EXPECT_EQ(answer.at("choices").at(0).at("text"), TokenFunction("a b c", "step-1").text(5));
  EXPECT_EQ(rig.ask("POST", "/update_weights", json{{"weight_dir", rig.files / "s1"}}).body, R"({"status":"ok"})");
}

TEST(WeightEndpoints, WhatIsNotWholeLeavesTheOldWeightsAlone) {
  Rig rig;
  rig.write("s1", 1);
  std::filesystem::remove(rig.files / "s1/config.json");
  const Answer bad = rig.ask("POST", "/update_weights", json{{"weight_dir", rig.files / "s1"}});
  EXPECT_EQ(bad.status, 500);
  EXPECT_THAT(bad.body, HasSubstr("config.json"));
  EXPECT_EQ(rig.service().weights().weights().identity, "w");
  EXPECT_EQ(rig.ask("POST", "/update_weights", json::object()).status, 400);
}

TEST(WeightEndpoints, AnAnswerThatSpansASwapSaysWhichTokensCameFromWhich) {
  Rig rig;
  rig.write("s1", 1);
  const auto call = rig.generate(100);
  rig.ask("POST", "/pause?mode=keep&clear_cache=false");
  rig.ask("POST", "/update_weights", json{{"weight_dir", rig.files / "s1"}});
  rig.ask("POST", "/resume");
  const json answer = rig.finished(call);
  const json& spans = answer.at("weight_versions");
  ASSERT_EQ(spans.size(), 2u);
  const int swap = spans[1].at("start");
  EXPECT_EQ(spans[0].at("version"), "w");
  EXPECT_EQ(spans[1].at("version"), "s1");
  EXPECT_EQ(spans[1].at("end"), 100);
  const std::string whole = answer.at("choices").at(0).at("text");
  const std::string old = TokenFunction("a b c", "w").text(swap);
  EXPECT_EQ(whole.substr(0, old.size()), old);
  EXPECT_EQ(whole.size(), TokenFunction("a b c", "s1").text(100).size()) << "all words have the same length";
  EXPECT_TRUE(TokenFunction("a b c", "s1").text(100).ends_with(whole.substr(old.size())));
}

TEST(WeightEndpoints, AResetDoesNothingSilentlyWhileBlocksAreHeldUnlessThoseStartOver) {
  Rig rig;
  const json body{{"model", "m"}, {"prompt", "known"}, {"max_tokens", 1}};
  const auto cached = [&] {
    const json answer = json::parse(rig.ask("POST", "/v1/completions", body).body);
    return answer.at("usage").at("prompt_tokens_details").at("cached_tokens").get<int>();
  };
  EXPECT_EQ(cached(), 0);
  EXPECT_EQ(cached(), 1);
  const auto call = rig.generate(3'000);
  rig.ask("POST", "/pause?mode=keep&clear_cache=false");
  EXPECT_EQ(rig.ask("POST", "/reset_prefix_cache").status, 200);
  rig.ask("POST", "/resume");
  EXPECT_EQ(cached(), 1) << "it said success";
  rig.ask("POST", "/pause?mode=keep&clear_cache=false");
  EXPECT_EQ(rig.ask("POST", "/reset_prefix_cache?reset_running_requests=true").status, 200);
  rig.ask("POST", "/resume");
  EXPECT_EQ(cached(), 0);
  EXPECT_FALSE(*call.done);
}

TEST(WeightEndpoints, LoadsQueueUpAndTakeTheirTime) {
  Rig rig;
  rig.config.updates.load_time_s = 0.2;
  rig.write("s1", 1);
  rig.write("s2", 2);
  const double began = monotonic_seconds();
  const auto one = rig.begin("POST", "/update_weights", json{{"weight_dir", rig.files / "s1"}});
  ASSERT_TRUE(rig.until([&] { return rig.service().weights().is_loading(); }));
  const auto two = rig.begin("POST", "/update_weights", json{{"weight_dir", rig.files / "s2"}});
  EXPECT_TRUE(rig.until([&] { return *one.done && *two.done; }));
  EXPECT_GE(monotonic_seconds() - began, 0.4);
  EXPECT_EQ(rig.service().weights().weights().identity, "s2");
}

TEST(WeightEndpoints, SglangSaysSuccessInTheBody) {
  Rig rig(Dialect::sglang);
  const std::string digest = rig.write("s1", 1);
  const json good{{"model_path", rig.files / "s1"}, {"weight_version", "s1"}, {"flush_cache", true}};
  const json done = json::parse(rig.ask("POST", "/update_weights_from_disk", good).body);
  EXPECT_EQ(done.at("success"), true);
  const json info = json::parse(rig.ask("GET", "/model_info").body);
  EXPECT_EQ(info.at("weight_version"), "s1");
  EXPECT_EQ(info.at("weights_digest"), digest);
  const Answer bad = rig.ask("POST", "/update_weights_from_disk", json{{"model_path", rig.files / "nowhere"}});
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(json::parse(bad.body).at("success"), false);
  EXPECT_EQ(rig.ask("GET", "/weight_version").status, 404);
}

TEST(WeightEndpoints, SglangFlushesOnlyWhatNobodyHolds) {
  Rig rig(Dialect::sglang);
  const auto call = rig.generate(5'000);
  const Answer busy = rig.ask("POST", "/flush_cache");
  EXPECT_EQ(busy.status, 400);
  EXPECT_THAT(busy.body, HasSubstr("running or waiting requests"));
  rig.ask("POST", "/pause_generation", json{{"mode", "in_place"}});
  EXPECT_EQ(rig.ask("POST", "/flush_cache").status, 400);
  rig.ask("POST", "/continue_generation", json::object());
  rig.ask("POST", "/pause_generation", json{{"mode", "retract"}});
  EXPECT_EQ(rig.ask("POST", "/flush_cache").status, 200);
  EXPECT_FALSE(*call.done);
}

TEST(WeightEndpoints, SglangsVersionCallAbortsUnlessToldNotTo) {
  Rig rig(Dialect::sglang);
  const auto kept = rig.generate(3'000);
  rig.ask("POST", "/update_weight_version", json{{"new_version", "x"}, {"abort_all_requests", false}});
  EXPECT_FALSE(*kept.done);
  EXPECT_EQ(rig.ask("POST", "/update_weight_version", json{{"new_version", "y"}}).status, 200);
  EXPECT_TRUE(rig.until([&] { return *kept.done; }));
}

TEST(DeltaPull, RefusesWhatDoesNotFitAndKeepsWhatItHas) {
  const TempDir source;
  const TempDir local;
  const ModelShape shape{1, 8, 16};
  const SnapshotWriter writer(shape, DeltaEncoding::exclusive_or, ChecksumFormat::xxh3_128);
  const Weights zero = initial_weights(shape, 1);
  const Weights one = after_step(zero, 1, 1);
  ASSERT_TRUE(writer.full(source / "weight_v000000", zero, 0).ok());
  ASSERT_TRUE(writer.incremental(source / "weight_v000001", one, 1, zero, 0, true).ok());
  ASSERT_TRUE(pull_weights(local.path(), source.path(), 0).ok());
  EXPECT_EQ(*digest_of_snapshot(local.path()), digest_of(zero));
  const Status damaged = pull_weights(local.path(), source.path(), 1);
  ASSERT_FALSE(damaged.ok());
  EXPECT_THAT(damaged.error().what, HasSubstr("checksum"));
  EXPECT_EQ(*digest_of_snapshot(local.path()), digest_of(zero));
  EXPECT_EQ(pulled_version(local.path()), 0);
  EXPECT_FALSE(pull_weights(local.path(), source.path(), 7).ok());
  ASSERT_TRUE(writer.incremental(source / "weight_v000001", one, 1, zero, 0, false).ok());
  ASSERT_TRUE(pull_weights(local.path(), source.path(), 1).ok());
  EXPECT_EQ(*digest_of_snapshot(local.path()), digest_of(one));
  EXPECT_TRUE(pull_weights(local.path(), source.path(), 1).ok()) << "once is enough";
}

}  // namespace
}  // namespace ebb::emulator
