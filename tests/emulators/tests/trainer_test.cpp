// The stand-in trainer: what it writes is what the formats say, and what it reports is what happened.
#include "tests/emulators/trainer/trainer.hpp"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zstd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/emulators/common/http_server.hpp"
#include "tests/emulators/tests/harness.hpp"

namespace ebb::emulator {
namespace {

using nlohmann::json;

ModelShape small_shape() {
  ModelShape shape;
  shape.layers = 2;
  shape.hidden = 16;
  shape.vocabulary = 32;
  return shape;
}

struct Scratch {
  Scratch() { std::filesystem::create_directories(path); }
  ~Scratch() { std::filesystem::remove_all(path); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string path = std::filesystem::temp_directory_path() / ("ebb-trainer-test-" + std::to_string(::getpid()));
};

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::uint64_t little_endian(const std::string& bytes, std::size_t at, int width) {
  std::uint64_t value = 0;
  for (int i = width - 1; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[at + std::size_t(i)]);
  return value;
}

/// A safetensors file taken apart.
struct Opened {
  explicit Opened(const std::string& path) : bytes(read(path)) {
    length = little_endian(bytes, 0, 8);
    header = json::parse(bytes.substr(8, length));
  }
  std::string data(const std::string& name) const {
    const auto& span = header.at(name).at("data_offsets");
    const auto begin = span.at(0).get<std::size_t>(), end = span.at(1).get<std::size_t>();
    return bytes.substr(8 + length + begin, end - begin);
  }
  std::string bytes;
  std::size_t length = 0;
  json header;
};

std::string inflated(const std::string& frame) {
  const auto size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  std::string out(size, '\0');
  EXPECT_EQ(ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size()), size);
  return out;
}

std::string applied(const std::string& encoding, std::string base, const std::string& delta) {
  if (encoding == "xor") {
    EXPECT_EQ(base.size(), delta.size());
    for (std::size_t i = 0; i < base.size(); ++i) base[i] = static_cast<char>(base[i] ^ delta[i]);
    return base;
  }
  const std::size_t count = little_endian(delta, 0, 4);
  EXPECT_EQ(delta.size(), 4 + 5 * count);
  for (std::size_t i = 0; i < count; ++i) base.at(little_endian(delta, 4 + 4 * i, 4)) = delta[4 + 4 * count + i];
  return base;
}

TEST(TrainerWeights, FollowFromSeedAndStepAndMoveALittle) {
  const Weights first = initial_weights(small_shape(), 7);
  EXPECT_EQ(first, initial_weights(small_shape(), 7));
  EXPECT_NE(digest_of(first), digest_of(initial_weights(small_shape(), 8)));
  const Weights second = after_step(first, 7, 1);
  EXPECT_EQ(second, after_step(first, 7, 1));
  std::size_t bytes = 0, moved = 0, untouched = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    untouched += first[i].bytes == second[i].bytes ? 1 : 0;
    for (std::size_t at = 0; at < first[i].bytes.size(); ++at) {
      ++bytes;
      moved += first[i].bytes[at] != second[i].bytes[at] ? 1 : 0;
    }
  }
  EXPECT_GT(moved, 0u);
  EXPECT_LT(moved, bytes / 20);
  EXPECT_GT(untouched, 0u) << "tensors that stand still are left out of an increment";
}

TEST(TrainerWeights, TheDigestIsOverNamesTypesAndBytes) {
  Tensor tensor;
  tensor.name = "a";
  tensor.dtype = "F32";
  tensor.shape = {1};
  tensor.bytes = std::string("\x00\x00\x80\x3f", 4);
  // XXH64 of "a\0F32\0" and the bytes of 1.0f, as the reference implementation has it.
  EXPECT_EQ(digest_of({tensor}), "f6a2e5bad54e0212");
}

TEST(SnapshotWriter, AFullSnapshotHasEveryTensorOnceAndOneLayerAFile) {
  Scratch scratch;
  const Weights weights = initial_weights(small_shape(), 1);
  const SnapshotWriter writer(small_shape(), DeltaEncoding::exclusive_or, ChecksumFormat::xxh3_128);
  ASSERT_TRUE(writer.full(scratch.path + "/s", weights, 3));
  const json index = json::parse(read(scratch.path + "/s/model.safetensors.index.json"));
  EXPECT_EQ(index.at("metadata").at("version"), "000003");
  EXPECT_FALSE(index.at("metadata").contains("delta_encoding"));
  EXPECT_EQ(index.at("weight_map").size(), weights.size());
  std::map<std::string, int> layers;
  for (const Tensor& tensor : weights) {
    const std::string file = index.at("weight_map").at(tensor.name);
    EXPECT_EQ(layers.emplace(file, tensor.layer).first->second, tensor.layer);
    const Opened opened(scratch.path + "/s/" + file);
    EXPECT_EQ(opened.header.at(tensor.name).at("dtype"), tensor.dtype);
    EXPECT_EQ(opened.header.at(tensor.name).at("shape"), json(tensor.shape));
    EXPECT_EQ(opened.data(tensor.name), tensor.bytes);
    EXPECT_EQ(opened.length % 8, 0u);
  }
  EXPECT_EQ(json::parse(read(scratch.path + "/s/config.json")).at("num_hidden_layers"), 2);
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path + "/s")) {
    EXPECT_NE(entry.path().extension(), ".tmp");
  }
}

TEST(SnapshotWriter, AnIncrementLeadsFromItsBaseToTheNewTensorsAndLeavesOutWhatStoodStill) {
  const Weights base = initial_weights(small_shape(), 1);
  const Weights next = after_step(base, 1, 1);
  for (const auto encoding : {DeltaEncoding::exclusive_or, DeltaEncoding::overwrite}) {
    for (const auto checksum : {ChecksumFormat::xxh3_128, ChecksumFormat::adler32}) {
      Scratch scratch;
      const SnapshotWriter writer(small_shape(), encoding, checksum);
      ASSERT_TRUE(writer.incremental(scratch.path + "/s", next, 4, base, 3, false));
      const json index = json::parse(read(scratch.path + "/s/model.safetensors.index.json"));
      const json expected{{"version", "000004"},
                          {"base_version", "000003"},
                          {"delta_encoding", to_string(encoding)},
                          {"compression_format", "zstd"},
                          {"checksum_format", to_string(checksum)}};
      EXPECT_EQ(index.at("metadata"), expected);
      for (std::size_t i = 0; i < next.size(); ++i) {
        const bool moved = base[i].bytes != next[i].bytes;
        ASSERT_EQ(index.at("weight_map").contains(next[i].name), moved) << next[i].name;
        if (!moved) continue;
        const Opened opened(scratch.path + "/s/" + index.at("weight_map").at(next[i].name).get<std::string>());
        const std::string delta = inflated(opened.data(next[i].name));
        EXPECT_EQ(applied(to_string(encoding), base[i].bytes, delta), next[i].bytes);
        EXPECT_EQ(opened.header.at("__metadata__").at(next[i].name), checksum_of(checksum, next[i].bytes));
      }
    }
  }
}

TEST(SnapshotWriter, DamageIsOneWrongChecksumAndNothingElse) {
  Scratch scratch;
  const Weights base = initial_weights(small_shape(), 1);
  const Weights next = after_step(base, 1, 1);
  const SnapshotWriter writer(small_shape(), DeltaEncoding::exclusive_or, ChecksumFormat::xxh3_128);
  ASSERT_TRUE(writer.incremental(scratch.path + "/good", next, 4, base, 3, false));
  ASSERT_TRUE(writer.incremental(scratch.path + "/bad", next, 4, base, 3, true));
  int differ = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path + "/good")) {
    const std::string good = read(entry.path()), bad = read(scratch.path + "/bad/" + entry.path().filename().string());
    ASSERT_EQ(good.size(), bad.size());
    for (std::size_t i = 0; i < good.size(); ++i) differ += good[i] != bad[i] ? 1 : 0;
  }
  EXPECT_EQ(differ, 1) << "one digit of one checksum";
}

TEST(Checksums, AreThoseOfTheReferenceImplementations) {
  EXPECT_EQ(checksum_of(ChecksumFormat::adler32, "Wikipedia"), "11e60398");
  EXPECT_EQ(checksum_of(ChecksumFormat::xxh3_128, ""), "99aa06d3014798d86001c324468d497f");
}

/// A daemon and an engine in one: loads what is published at once, refuses nothing, and lies where told.
class SmallDaemon {
 public:
  SmallDaemon(asio::io_context& io, std::string store_)
      : store(std::move(store_)), server(io, [this](HttpRequestIn request, std::shared_ptr<HttpReply> reply) {
          return answer(std::move(request), std::move(reply));
        }) {
    const auto port = server.listen("127.0.0.1", 0);
    url = "http://127.0.0.1:" + std::to_string(port ? *port : 0);
  }
  awaitable<void> answer(HttpRequestIn request, std::shared_ptr<HttpReply> reply) {
    Headers headers;
    if (busy > 0) {
      --busy;
      co_await reply->send(503, headers, "");
      co_return;
    }
    const json body = request.body.empty() ? json::object() : json::parse(request.body);
    const std::string& target = request.head.target;
    json out;
    if (target == "/v1/jobs/rl/snapshots:plan") out = plan(body);
    if (target == "/v1/jobs/rl/snapshots") out = publish(body);
    if (target.starts_with("/v1/jobs/rl/snapshots/")) out = state();
    if (target == "/v1/replicas") out["replicas"] = json::array({replica("a", true), replica("b", false)});
    if (target == "/v1/completions") out = json{{"system_fingerprint", loaded}, {"weights_digest", digest}};
    std::string text = out.dump();
    co_await reply->send(200, headers, std::move(text));
  }
  json plan(const json& body) {
    const bool full = newest.empty() || broken;
    planned = "s" + std::to_string(body.at("step").get<int>());
    return json{{"identity", planned},
                {"kind", full ? "full" : "incremental"},
                {"previous_identity", full ? json() : json(newest)},
                {"reason", "because"},
                {"upload_url", "file://" + store + "/" + planned}};
  }
  json publish(const json& body) {
    published.push_back(body);
    broken = published.size() == fails_at;
    if (!broken) newest = loaded = planned;
    return state();
  }
  json state() const { return json{{"phase", broken ? "failed" : "serving"}, {"ended", true}, {"reason", ""}}; }
  json replica(const char* name, bool serves) const {
    return json{{"id", name}, {"owner", "rl"}, {"serves", serves}, {"address", url}};
  }

  std::string store;
  std::string url;
  std::string newest, planned, loaded, digest;
  std::vector<json> published;
  std::size_t fails_at = 0;
  bool broken = false;
  int busy = 0;
  HttpServer server;
};

TrainerConfig config_for(const SmallDaemon& daemon) {
  TrainerConfig config;
  config.api = daemon.url;
  config.shape = small_shape();
  config.steps = 3;
  config.patience_s = 5;
  return config;
}

TEST(Trainer, WritesWhatThePlanSaysAndPublishesIt) {
  asio::io_context io;
  Scratch scratch;
  SmallDaemon daemon(io, scratch.path);
  daemon.busy = 2;
  Trainer trainer(io, config_for(daemon));
  ASSERT_TRUE(trainer.prepare());
  run_until_done(io, trainer.run());
  ASSERT_EQ(daemon.published.size(), 3u);
  EXPECT_EQ(daemon.published[0].at("kind"), "full");
  EXPECT_FALSE(daemon.published[0].contains("previous_identity"));
  EXPECT_EQ(daemon.published[2].at("kind"), "incremental");
  EXPECT_EQ(daemon.published[2].at("previous_identity"), "s2");
  EXPECT_TRUE(std::filesystem::exists(scratch.path + "/s3/model.safetensors.index.json"));
  EXPECT_EQ(trainer.report().at("retries"), 2);
}

TEST(Trainer, SeesReplicasThatDoNotHaveWhatItWrote) {
  asio::io_context io;
  Scratch scratch;
  SmallDaemon daemon(io, scratch.path);
  daemon.digest = "0000000000000000";
  Trainer trainer(io, config_for(daemon));
  ASSERT_TRUE(trainer.prepare());
  run_until_done(io, trainer.run());
  ASSERT_EQ(trainer.steps().size(), 3u);
  EXPECT_EQ(trainer.steps()[0].checked, 1) << "the other replica does not serve";
  EXPECT_EQ(trainer.steps()[0].mismatches.size(), 1u);
  EXPECT_FALSE(trainer.ok());
}

TEST(Trainer, DamagesOneIncrementAndExpectsItToFail) {
  for (const std::size_t fails_at : {std::size_t{2}, std::size_t{0}}) {
    asio::io_context io;
    Scratch scratch;
    SmallDaemon daemon(io, scratch.path);
    daemon.fails_at = fails_at;
    TrainerConfig config = config_for(daemon);
    config.fail_at = 1;  // a full one: the next increment is meant
    config.check = false;
    Trainer trainer(io, config);
    ASSERT_TRUE(trainer.prepare());
    run_until_done(io, trainer.run());
    ASSERT_EQ(trainer.steps().size(), 3u);
    EXPECT_FALSE(trainer.steps()[0].damaged);
    EXPECT_TRUE(trainer.steps()[1].damaged);
    EXPECT_FALSE(trainer.steps()[2].damaged);
    EXPECT_EQ(trainer.steps()[2].kind, fails_at == 2 ? "full" : "incremental");
    EXPECT_EQ(trainer.ok(), fails_at == 2) << "a damaged increment that serves is the worst that can happen";
  }
}

}  // namespace
}  // namespace ebb::emulator
