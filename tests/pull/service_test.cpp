// The HTTP face: what is asked for, what is told.
#include <gmock/gmock.h>

#include <boost/asio.hpp>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>

#include "daemon/pull/service.hpp"
#include "tests/pull/rig.hpp"
#include "tests/support/run.hpp"

namespace ebb::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// Lets nobody list anything until the gate is open.
class GatedStore final : public pull::Store {
 public:
  explicit GatedStore(pull::Store& inner) : inner_(inner) {}
  Result<std::vector<pull::Object>> list(const std::string& identity, const pull::Stop& stop) override {
    std::unique_lock lock(mutex_);
    while (!open_ && !stop.requested()) changed_.wait_for(lock, std::chrono::milliseconds(5));
    lock.unlock();
    if (stop.requested()) return pull::stopped();
    return inner_.list(identity, stop);
  }
  std::unique_ptr<pull::Reader> reader() override { return inner_.reader(); }
  [[nodiscard]] std::string place(const std::string& identity) const override { return inner_.place(identity); }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  pull::Store& inner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

class PullService : public PullRig {
 protected:
  PullService() {
    const Shards shards = random_shards(random_, 2, 20'000);
    for (const char* name : {"a", "b", "c"}) write_full(store_path() + "/" + name, shards, "");
  }
  ~PullService() override { end(); }
  void end() {
    if (!service_) return;
    service_->stop();
    service_->join();
    io_.restart();
    io_.run();
    service_.reset();
  }
  void serve(Duration timeout = Duration{60'000}) {
    puller_ = std::make_unique<pull::Puller>(*shelf_, gate_, options_);
    service_ = std::make_unique<pull::Service>(io_.get_executor(), *shelf_, *puller_, config_, timeout);
  }
  Response ask(const std::string& method, const std::string& target, const std::string& body = "",
               const std::string& token = "") {
    Request request;
    request.method = method;
    request.target = target;
    request.headers["host"] = "127.0.0.1:8475";
    if (!body.empty()) request.headers["content-type"] = "application/json";
    if (!token.empty()) request.headers["authorization"] = "Bearer " + token;
    request.body = body;
    request.peer = "127.0.0.1";
    const auto answer = start(io_, service_->handle(std::move(request)));
    io_.restart();
    io_.poll();
    return answer->value();
  }
  Response put(const std::string& identity) {
    return ask("PUT", "/v1/snapshots/" + identity, R"({"path":[{"identity":")" + identity + R"(","kind":"full"}]})");
  }
  json state(const std::string& identity) {
    const Response response = ask("GET", "/v1/snapshots/" + identity);
    return response.status == 200 ? json::parse(response.body) : json{{"state", response.status}};
  }
  /// Runs until nothing is being pulled any more: what is ready may be used before the last pull has tidied up.
  json settled(const std::string& identity) {
    io_.restart();
    io_.run_for(std::chrono::seconds(60));
    return state(identity);
  }

  boost::asio::io_context io_;
  ApiConfig config_;
  GatedStore gate_{*store_};
  std::unique_ptr<pull::Puller> puller_;
  std::unique_ptr<pull::Service> service_;
};

TEST_F(PullService, PullsWhatIsAskedForAndSaysWhereItIs) {
  serve();
  EXPECT_EQ(state("a")["state"], 404);
  const Response asked = put("a");
  EXPECT_EQ(asked.status, 202);
  EXPECT_EQ(json::parse(asked.body)["state"], "pulling");
  EXPECT_EQ(put("a").status, 202);
  gate_.open();
  const json ready = settled("a");
  EXPECT_EQ(ready["state"], "ready");
  EXPECT_EQ(ready["directory"], local("a"));
  EXPECT_EQ(ready["bytes_done"], ready["bytes_total"]);
  EXPECT_EQ(ready["error"], "");
  EXPECT_EQ(ready["retryable"], false);
  EXPECT_EQ(ready.size(), 7u);
  const Response again = put("a");
  EXPECT_EQ(again.status, 202);
  EXPECT_EQ(json::parse(again.body)["state"], "ready");
  end();
  open();
  serve();
  EXPECT_EQ(state("a")["state"], "ready") << "after a restart too";
}

TEST_F(PullService, LetsTheLatestWaitAndSupersedesWhatWaited) {
  serve();
  put("a");
  put("b");
  put("c");
  EXPECT_EQ(state("a")["state"], "pulling");
  EXPECT_EQ(state("c")["state"], "pulling");
  const json b = state("b");
  EXPECT_EQ(b["state"], "failed");
  EXPECT_EQ(b["retryable"], true);
  EXPECT_THAT(b["error"].get<std::string>(), HasSubstr("superseded by 'c'"));
  gate_.open();
  EXPECT_EQ(settled("c")["state"], "ready");
  EXPECT_EQ(state("a")["state"], "ready");
  put("b");
  EXPECT_EQ(settled("b")["state"], "ready");
  const json all = json::parse(ask("GET", "/v1/snapshots").body)["snapshots"];
  ASSERT_EQ(all.size(), 2u) << "two are kept";
  EXPECT_EQ(all[0]["identity"], "b");
}

TEST_F(PullService, TellsWhatFailedAndTriesAgainWhenAsked) {
  serve();
  gate_.open();
  put("absent");
  const json failed = settled("absent");
  EXPECT_EQ(failed["state"], "failed");
  EXPECT_EQ(failed["retryable"], true);
  EXPECT_THAT(failed["error"].get<std::string>(), HasSubstr("absent"));
  std::filesystem::copy(store_path() + "/a", store_path() + "/absent", std::filesystem::copy_options::recursive);
  put("absent");
  EXPECT_EQ(settled("absent")["state"], "ready");
}

TEST_F(PullService, EndsAPullThatTakesTooLong) {
  serve(Duration{30});
  put("a");
  const json failed = settled("a");
  EXPECT_EQ(failed["state"], "failed");
  EXPECT_EQ(failed["retryable"], true);
  EXPECT_THAT(failed["error"].get<std::string>(), HasSubstr("not done within 30ms"));
}

TEST_F(PullService, RefusesWhatItDoesNotKnow) {
  serve();
  struct Row {
    int line;
    const char* method;
    const char* target;
    const char* body;
    int status;
  };
  const std::vector<Row> rows{
      {__LINE__, "GET", "/", "", 404},
      {__LINE__, "GET", "/v1/snapshots/a/b", "", 404},
      {__LINE__, "GET", "/v1/snapshots?x=1", "", 400},
      {__LINE__, "POST", "/v1/snapshots", "{}", 405},
      {__LINE__, "DELETE", "/v1/snapshots/a", "", 405},
      {__LINE__, "PUT", "/v1/snapshots/a", "", 415},
      {__LINE__, "PUT", "/v1/snapshots/a", "{", 400},
      {__LINE__, "PUT", "/v1/snapshots/a", R"({"path":[],"x":1})", 400},
      {__LINE__, "PUT", "/v1/snapshots/a", R"({"path":[{"identity":"b","kind":"full"}]})", 400},
      {__LINE__, "PUT", "/v1/snapshots/%2e%2e%2fa", R"({"path":[{"identity":"../a","kind":"full"}]})", 400},
      {__LINE__, "GET", "/healthz", "", 200},
  };
  for (const Row& row : rows) {
    const Response response = ask(row.method, row.target, row.body);
    EXPECT_EQ(response.status, row.status) << "line " << row.line << ": " << response.body;
    if (response.status >= 400) {
      EXPECT_EQ(response.content_type, "application/problem+json") << "line " << row.line;
    }
  }
}

TEST_F(PullService, RefusesAnotherParentOfWhatIsHere) {
  serve();
  gate_.open();
  put("a");
  ASSERT_EQ(settled("a")["state"], "ready");
  const Response response =
      ask("PUT", "/v1/snapshots/a", R"({"path":[{"identity":"a","kind":"incremental","parent":"b"}]})");
  EXPECT_EQ(response.status, 409);
}

TEST_F(PullService, AsksForItsToken) {
  write_file(root_ + "/token", "secret\n");
  config_.tokens.push_back({"pull", SecretRef{"file:" + root_ + "/token"}, {"operate"}});
  serve();
  EXPECT_EQ(ask("GET", "/v1/snapshots").status, 401);
  EXPECT_EQ(ask("GET", "/v1/snapshots", "", "wrong").status, 401);
  EXPECT_EQ(ask("GET", "/v1/snapshots", "", "secret").status, 200);
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
}

}  // namespace
}  // namespace ebb::test
