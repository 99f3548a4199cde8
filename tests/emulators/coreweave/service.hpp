// The stand-in CoreWeave Inference: hot-loads and the deployments that they are for. It follows what the vendor
// documents; where that is silent there is a knob. Nothing happens by timers: everything is worked out when asked.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/emulators/common/http_server.hpp"
#include "tests/emulators/common/knobs.hpp"
#include "tests/emulators/common/vendor.hpp"

namespace ebb::emulator::coreweave {

/// All knobs with their defaults; what each does stands beside it.
nlohmann::json default_knobs();

struct Config {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8481;  ///< 0: any free one
  std::string organization = "org";
  std::string key;     ///< empty: nobody is asked for one
  std::string bucket;  ///< directory of the snapshots; empty: files are not looked at
};

struct Replica {
  std::string zone, name;
  std::string current;
  double up_at = 0;
  double catch_up_at = -1;  ///< negative: it does not do that by itself
};

struct Deployment {
  nlohmann::json fields;
  std::vector<Replica> replicas;  ///< ordered by (zone, name)
  std::vector<std::string> chain;
  double updated_until = 0;
  int made = 0;
};

enum class State { running, completed, failed };

struct HotLoad {
  std::string id, deployment;
  nlohmann::json spec;
  std::vector<std::string> chain;  ///< resolved, oldest first
  State state = State::running;
  std::string reason, message;
  double began = 0;
  double step = 0;       ///< between one replica's end and the next one's
  double first_at = 0;   ///< the first replica has it; infinite: never
  double finished = -1;  ///< negative: not yet
  std::string shows;     ///< reported by the replicas afterwards
};

class Service {
 public:
  /// `now`: seconds.
  Service(asio::io_context& io, Config config, std::function<double()> now);

  Result<std::uint16_t> start();
  void stop() { server_.close_all(); }
  [[nodiscard]] Knobs& knobs() { return knobs_; }
  /// Adds a deployment with so many replicas, as a POST would.
  void create(const std::string& id, int replicas);
  [[nodiscard]] const std::vector<HotLoad>& hot_loads() const { return loads_; }
  /// Creates that were refused because another hot-load was running.
  [[nodiscard]] int interlocked() const { return interlocked_; }

 private:
  using Reply = std::shared_ptr<HttpReply>;
  using Parts = std::vector<std::string>;
  awaitable<void> handle(HttpRequestIn request, Reply reply);
  Said answer(const HttpRequestIn& request);
  Said hot_loads(const HttpRequestIn& request, const Parts& rest);
  Said deployments(const HttpRequestIn& request, const Parts& rest);
  Said create(const HttpRequestIn& request);
  Said list(const HttpRequestIn& request);
  Said replicas(const HttpRequestIn& request, const HotLoad& load);
  Said patch(const std::string& id, const nlohmann::json& body);
  Said control(const HttpRequestIn& request);
  /// {code, message}, in the shape that the knob says.
  [[nodiscard]] Said refusal(int status, const char* code, const std::string& message) const;
  [[nodiscard]] std::optional<Said> problem_of_spec(const nlohmann::json& spec) const;
  [[nodiscard]] Said locked(const std::string& what);
  [[nodiscard]] const HotLoad* running(const std::string& deployment) const;
  [[nodiscard]] nlohmann::json shown(const HotLoad& load) const;
  [[nodiscard]] nlohmann::json shown(const std::string& id, const Deployment& deployment) const;
  void begin(HotLoad load, Deployment& deployment, const std::string& problem);
  void advance(double now);
  void advance(HotLoad& load, double now);
  void resize(Deployment& deployment, double now);
  [[nodiscard]] std::string missing_in_bucket(const std::string& identity) const;
  HotLoad* find(const std::string& id);

  Config config_;
  std::function<double()> now_;
  Knobs knobs_;
  std::map<std::string, Deployment> deployments_;
  std::vector<HotLoad> loads_;  ///< oldest first
  int interlocked_ = 0;
  int made_ = 0;
  HttpServer server_;
};

}  // namespace ebb::emulator::coreweave
