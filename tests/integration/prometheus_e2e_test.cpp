// The real Prometheus between two engines and our source.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "adapters/http/curl_client.hpp"
#include "adapters/prometheus/prometheus_source.hpp"
#include "tests/support/run.hpp"
#include "tests/support/test_server.hpp"

namespace ebb {
namespace {

namespace asio = boost::asio;
using testing::HasSubstr;
using namespace std::chrono_literals;

TimePoint wall_now() { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

class WallClock : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return wall_now(); }
  awaitable<void> sleep_until(TimePoint) override { co_return; }
};

asio::awaitable<Done> pause(std::chrono::milliseconds span) {
  asio::steady_timer timer(co_await asio::this_coro::executor, span);
  co_await timer.async_wait(asio::use_awaitable);
  co_return Done{};
}

/// Prometheus with its data in a folder of its own, until the end of the test.
class Prometheus {
 public:
  explicit Prometheus(const std::vector<std::string>& targets) {
    std::string pattern = testing::TempDir() + "ebb-prometheus-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    std::ofstream file(directory_ / "prometheus.yml");
    file << "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
            "scrape_configs:\n  - job_name: vllm\n    static_configs:\n      - targets: [";
    for (const std::string& target : targets) file << "'" << target << "',";
    file << "]\n";
  }
  ~Prometheus() {
    stop();
    std::filesystem::remove_all(directory_);
  }

  /// False when it ended at once: another program was faster to the port.
  bool start() {
    stop();
    {
      asio::io_context io;
      asio::ip::tcp::acceptor probe(io, {asio::ip::address_v4::loopback(), 0});
      port_ = probe.local_endpoint().port();
    }
    std::vector<std::string> words{"prometheus", "--config.file=" + (directory_ / "prometheus.yml").string(),
                                   "--storage.tsdb.path=" + (directory_ / "data").string(),
                                   "--web.listen-address=127.0.0.1:" + std::to_string(port_), "--log.level=warn"};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    const std::string log = (directory_ / "log").string();
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    const int failed = posix_spawnp(&pid_, "prometheus", &files, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    if (failed != 0) pid_ = -1;
    return failed == 0;
  }
  void stop() {
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  [[nodiscard]] bool ended() {
    if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
    return pid_ <= 0;
  }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::string log() const {
    std::ifstream file(directory_ / "log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path directory_;
  unsigned short port_ = 0;
  pid_t pid_ = -1;
};

std::string engine_page(int running, int waiting) {
  return "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name=\"prod\"} " +
         std::to_string(running) +
         "\n# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{model_name=\"prod\"} " +
         std::to_string(waiting) + "\n";
}

class PrometheusE2e : public testing::Test {
 protected:
  PrometheusE2e() : prometheus_({address(first_), address(second_)}) {
    first_.put("/metrics", engine_page(4, 1));
    second_.put("/metrics", engine_page(7, 2));
  }
  ~PrometheusE2e() override { client_.stop(); }

  static std::string address(const test::TestServer& server) { return "127.0.0.1:" + std::to_string(server.port()); }

  std::unique_ptr<PrometheusSource> source(std::map<std::string, std::string> queries) {
    SourceConfig config;
    config.kind = SourceKind::prometheus;
    config.endpoint.url = prometheus_.url();
    config.queries = std::move(queries);
    return std::make_unique<PrometheusSource>(config, client_, clock_);
  }
  WorkloadSeen sample(PrometheusSource& from) {
    std::vector<Target> none;
    return test::run(io_, from.sample(none, clock_.now() + 5s));
  }
  /// Samples until `enough` says so; at most a minute.
  template <class F>
  WorkloadSeen sample_until(PrometheusSource& from, F enough) {
    const TimePoint deadline = wall_now() + 60s;
    while (true) {
      const WorkloadSeen seen = sample(from);
      if (enough(seen)) return seen;
      if (wall_now() > deadline) {
        ADD_FAILURE() << "nothing after a minute; prometheus says: " << prometheus_.log();
        return seen;
      }
      test::run(io_, pause(50ms));
    }
  }
  void start_prometheus() {
    const TimePoint deadline = wall_now() + 60s;
    ASSERT_TRUE(prometheus_.start()) << "prometheus is not installed";
    while (true) {
      if (prometheus_.ended()) {
        ASSERT_TRUE(prometheus_.start());
      }
      const Result<HttpResponse> ready = test::run(io_, client_.send(HttpRequest(prometheus_.url() + "/-/ready")));
      if (ready.ok() && ready->status == 200) return;
      ASSERT_LT(wall_now(), deadline) << prometheus_.log();
      test::run(io_, pause(50ms));
    }
  }
  static std::string why(const WorkloadSeen& seen, const char* name) {
    const Missing* missing = seen.signals.at(name).value.missing();
    return missing == nullptr ? "known" : missing->why;
  }

  test::TestServer first_;
  test::TestServer second_;
  Prometheus prometheus_;
  asio::io_context io_;
  CurlClient client_;
  WallClock clock_;
};

const char* const kInFlight =
    "sum(vllm:num_requests_running{model_name=\"prod\"}) + sum(vllm:num_requests_waiting{model_name=\"prod\"})";

TEST_F(PrometheusE2e, ReadsThroughTheRealServerAndNeverReadsALostTargetAsLessLoad) {
  start_prometheus();
  const auto guarded = source({{"in_flight", kInFlight},
                               {"reporters", "count(vllm:num_requests_running{model_name=\"prod\"})"},
                               {"expected_reporters", "2"},
                               {"oldest_sample_age_s", "max(time() - timestamp(vllm:num_requests_running))"},
                               {"asked_replicas", "sum(vllm:num_requests_running) * 0 + 2.5"}});
  const auto known = [](const WorkloadSeen& seen) { return seen.signals.at("in_flight").value.known(); };
  const WorkloadSeen before = sample_until(*guarded, known);
  EXPECT_EQ(before.signals.at("in_flight").value.value(), 14);
  EXPECT_EQ(before.reported, 2);
  EXPECT_EQ(before.asked.value(), Replicas{3});
  const TimePoint taken_at = before.signals.at("in_flight").value.sample()->taken_at;
  EXPECT_LE(taken_at, wall_now());
  EXPECT_GT(taken_at, wall_now() - 30s);

  second_.stop();
  const WorkloadSeen after = sample_until(*guarded, [](const WorkloadSeen& seen) {
    const SignalSeen& signal = seen.signals.at("in_flight");
    if (!signal.value.known()) return true;
    EXPECT_EQ(signal.value.value(), 14) << "the load of one engine passed for that of both";
    return false;
  });
  EXPECT_EQ(why(after, "in_flight"), "1 of 2 replicas reported");
  // In the very round of the loss the sum may have been read just before it, which is a lower bound too.
  sample_until(*guarded, [](const WorkloadSeen& seen) {
    EXPECT_FALSE(seen.signals.at("in_flight").value.known());
    return seen.signals.at("in_flight").at_least == 5;
  });

  first_.stop();
  const WorkloadSeen nobody = sample_until(*guarded, [](const WorkloadSeen& seen) {
    EXPECT_FALSE(seen.signals.at("in_flight").value.known());
    return !seen.signals.at("in_flight").at_least;
  });
  EXPECT_THAT(why(nobody, "in_flight"), HasSubstr("no series matched"));
}

TEST_F(PrometheusE2e, ItsErrorsAreUnderstood) {
  start_prometheus();
  const auto all = source({{"in_flight", kInFlight},
                           {"syntax", "sum("},
                           {"many", "vllm:num_requests_running"},
                           {"absent", "sum(vllm:no_such_metric)"},
                           {"nan", "sum(vllm:num_requests_running) * 0 / 0"},
                           {"scalar", "1 + 1"},
                           {"matrix", "vllm:num_requests_running[1m]"}});
  const WorkloadSeen seen = sample_until(*all, [](const WorkloadSeen& each) {
    const SignalSeen& load = each.signals.at("in_flight");
    return load.value.known() && load.value.value() == 14;
  });
  EXPECT_THAT(why(seen, "syntax"), HasSubstr("bad_data"));
  EXPECT_THAT(why(seen, "many"), HasSubstr("2 series"));
  EXPECT_THAT(why(seen, "absent"), HasSubstr("no series matched"));
  EXPECT_THAT(why(seen, "nan"), HasSubstr("NaN"));
  EXPECT_THAT(why(seen, "matrix"), HasSubstr("matrix"));
  EXPECT_EQ(seen.signals.at("scalar").value.value(), 2);

  prometheus_.stop();
  const WorkloadSeen gone = sample(*all);
  for (const auto& [name, signal] : gone.signals) EXPECT_FALSE(signal.value.known()) << name;
}

}  // namespace
}  // namespace ebb
