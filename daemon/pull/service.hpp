// Pulls what is asked for over HTTP, one at a time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "daemon/api/guard.hpp"
#include "daemon/api/http.hpp"
#include "daemon/ports/worker.hpp"
#include "daemon/pull/puller.hpp"

namespace ebb::pull {

/// Control thread. `stop` and then `join` before the io_context ends, which must outlive what it calls.
///
///   PUT /v1/snapshots/{identity}   {"path": [...]}, oldest first: 202 with the state; the same again changes nothing.
///                                  While one is being pulled, the latest that is asked for waits; one that waited
///                                  before has failed, and may be asked for again.
///   GET /v1/snapshots/{identity}   the state; 404 when it was never asked for and is not here
///   GET /v1/snapshots              all of them: {"snapshots": [...]}
///   GET /healthz                   ok
class Service final : public RequestHandler {
 public:
  /// `timeout`: of one pull.
  Service(boost::asio::any_io_executor executor, Shelf& shelf, Puller& puller, ApiConfig config, Duration timeout);

  awaitable<Response> handle(Request request) override;

  /// Ends the pull under way, soon; what arrived stays for the next time. Nothing is started any more.
  void stop();
  /// Waits for it. Blocks.
  void join() { worker_.join(); }

 private:
  /// One pull, shared with the worker's thread.
  struct Job {
    Path path;
    Progress progress;
    Stop stop;
    bool timed_out = false;  ///< control thread only
    [[nodiscard]] const std::string& identity() const { return path.back().identity; }
  };
  using JobPtr = std::shared_ptr<Job>;

  Response answer(const Request& request, const std::vector<std::string>& segments);
  Response put(const std::string& identity, const Request& request);
  Response one(const std::string& identity) const;
  Response list() const;
  [[nodiscard]] std::optional<std::string> state_text(const std::string& identity) const;
  void fail(const std::string& identity, const Error& error);
  awaitable<void> run();
  static awaitable<void> limit(std::shared_ptr<boost::asio::steady_timer> timer, JobPtr job);

  boost::asio::any_io_executor executor_;
  Shelf& shelf_;
  Puller& puller_;
  ApiConfig config_;
  Duration timeout_;
  Guard guard_;
  JobPtr current_, queued_;
  std::map<std::string, Error> failed_;
  std::deque<std::string> failures_;  ///< oldest first, so that the map stays small
  bool running_ = false;
  bool stopping_ = false;
  Worker worker_;
};

}  // namespace ebb::pull
