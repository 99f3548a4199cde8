// A deployment on CoreWeave Inference takes new weights.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "adapters/coreweave/wire.hpp"
#include "config/config.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/hotload.hpp"
#include "daemon/ports/http_client.hpp"

namespace ebb {

struct CoreweaveTimes {
  Duration condition_fine{60'000};  ///< between two looks at the deployment's own resource
  Duration condition_sick{5'000};
  Duration settled{30'000};  ///< after a hot-load completed its replicas have so long to show it
};

/// One deployment behind CoreWeave's hot-load service. Where the port leaves a choice:
/// - Replicas are known only through the newest hot-load. Before the first one a deployment that is ready shows as one
///   replica, so that there is somebody to load for; with the first hot-load the real ones take its place.
/// - The order's id becomes the hot-load's id, so that an order given again is found, not repeated.
/// - A failed precondition is put off while a hot-load or an update of the deployment is under way (the interlock), and
///   refused otherwise: then it is the chain that is not wanted.
class CoreweaveHotload final : public Hotload {
 public:
  struct Options {
    HotloadConfig config;
    CoreweaveTimes times;
  };

  /// `http` and `clock` must outlive the io_context.
  CoreweaveHotload(Options options, HttpClient& http, Clock& clock);

  [[nodiscard]] HotloadCapabilities capabilities() const override;
  awaitable<Result<HotloadSeen>> look(std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> stage(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> signal(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> pause(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> resume(std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> reset(TimePoint deadline) override;

 private:
  /// The body of a 2xx. Errors: those of the transport and of the answer; `unreachable` when no time is left.
  awaitable<Result<std::string>> get(std::string path, TimePoint deadline);
  awaitable<Result<std::vector<coreweave::HotLoadSeen>>> newest(TimePoint deadline);
  awaitable<Result<std::vector<coreweave::Replica>>> replicas_of(std::string hot_load, TimePoint deadline);
  awaitable<Result<coreweave::DeploymentSeen>> deployment(TimePoint deadline);
  awaitable<void> update_condition(TimePoint deadline);
  awaitable<Result<HotloadSeen>> before_the_first(TimePoint deadline);
  [[nodiscard]] bool is_overdue(const coreweave::HotLoadSeen& load);
  awaitable<Status> create(std::string body, TimePoint deadline, coreweave::Failure& failure);
  /// A hot-load of this id is there: whether it is this order's.
  awaitable<Status> compare(LoadOrder order, TimePoint deadline);
  /// Whether the deployment's lock is held, as far as one can see.
  awaitable<Result<bool>> is_locked(TimePoint deadline);

  Options options_;
  HttpClient& http_;
  Clock& clock_;
  std::string condition_;
  TimePoint asked_at_{};      ///< for the condition; zero: never
  bool sick_ = false;         ///< as of the newest look
  std::string completed_;     ///< id of the hot-load that was last seen completed
  TimePoint completed_at_{};  ///< first seen so
};

}  // namespace ebb
