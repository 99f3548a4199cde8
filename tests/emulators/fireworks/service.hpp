// The stand-in Fireworks: hot-load, ledger and deployments REST, and completions that name the weights that made them.
// It follows what the vendor documents; where that is silent there is a knob.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "tests/emulators/common/http_server.hpp"
#include "tests/emulators/common/knobs.hpp"
#include "tests/emulators/fireworks/site.hpp"

namespace ebb::emulator::fireworks {

struct Config {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8480;  ///< 0: any free one
  std::string account = "acct";
  std::string key;     ///< empty: nobody is asked for one
  std::string bucket;  ///< directory of the snapshots; empty: files are not looked at
};

class Service {
 public:
  /// `now`: seconds; what loads and replicas go by. Requests that wait look at it every few milliseconds.
  Service(asio::io_context& io, Config config, std::function<double()> now);

  /// Starts to listen. Returns the port.
  Result<std::uint16_t> start();
  void stop() { server_.close_all(); }

  [[nodiscard]] Knobs& knobs() { return knobs_; }
  /// Adds a deployment as a POST would; a later time finds its replicas up.
  Said create(const std::string& id, nlohmann::json body);
  /// Null: there is none.
  Site* site(const std::string& id);

 private:
  using Reply = std::shared_ptr<HttpReply>;
  using Parts = std::vector<std::string>;
  awaitable<void> handle(HttpRequestIn request, Reply reply);
  awaitable<void> complete(HttpRequestIn request, Reply reply);
  [[nodiscard]] bool may(const HttpRequestIn& request) const;
  [[nodiscard]] const char* faults_of(const HttpRequestIn& request) const;
  Said answer(const HttpRequestIn& request);
  Said hot_load(const HttpRequestIn& request);
  Said deployments(const HttpRequestIn& request, const Parts& rest);
  Said one_deployment(const HttpRequestIn& request, const std::string& id, const std::string& verb);
  Said ledger(const HttpRequestIn& request, const std::string& id);
  Said list(const HttpRequestIn& request);
  Said control(const HttpRequestIn& request);
  Said completion(const HttpRequestIn& request, double waited, bool& waits);

  Config config_;
  std::function<double()> now_;
  Knobs knobs_;
  std::map<std::string, Site> sites_;
  HttpServer server_;
  std::int64_t requests_ = 0;
};

}  // namespace ebb::emulator::fireworks
