// A deployment on Fireworks takes new weights.
#pragma once

#include <string>
#include <vector>

#include "adapters/fireworks/wire.hpp"
#include "config/config.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/hotload.hpp"
#include "daemon/ports/http_client.hpp"

namespace ebb {

/// How often the deployment's own resource is looked at: it says why, not whether, so it is asked rarely.
struct ConditionTimes {
  Duration fine{60'000};
  Duration sick{5'000};  ///< while replicas are missing, failed or not ready
};

/// One deployment behind Fireworks' hot-load API. Where the port leaves a choice:
/// - A signal is held back (put off) until the deployment lists replicas, because one that comes before their hot-load
///   manager is up crashes the container.
/// - Replicas that vanish out of a load while the deployment's status is an error are still reported, as failed: a bad
///   snapshot that crashes them must not pass for one that nobody needs any more.
/// - Nothing is signalled that every replica has or loads already: the API does not say what a repetition does.
/// - A backend that does not know `reset_prompt_cache` is asked again without it, once, where that means the same.
/// - A broken connection or a 5xx leaves open whether the signal was taken; a 404, 409, 425 or 429 says that it was
/// not,
///   and may be later; any other 4xx that it never will be.
class FireworksHotload final : public Hotload {
 public:
  struct Options {
    HotloadConfig config;
    bool adapter = false;  ///< LoRA
    LoadTransitionMode transition = LoadTransitionMode::async;
    ConditionTimes times;
  };

  /// `http` and `clock` must outlive the io_context.
  FireworksHotload(Options options, HttpClient& http, Clock& clock);

  [[nodiscard]] HotloadCapabilities capabilities() const override;
  awaitable<Result<HotloadSeen>> look(std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> stage(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> signal(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> pause(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> resume(std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> reset(TimePoint deadline) override;

 private:
  /// A request with credentials and headers, for the time that is left. Errors: `denied`, or `unreachable` when no time
  /// is left: nothing was sent.
  [[nodiscard]] Result<HttpRequest> request(const char* method, const std::string& path, TimePoint deadline) const;
  [[nodiscard]] std::string deployment_path() const;
  awaitable<Result<HotloadSeen>> status(TimePoint deadline);
  awaitable<Status> post(LoadOrder order, bool without_reset, TimePoint deadline, HttpResponse& refused);
  awaitable<void> update_condition(bool serving, TimePoint deadline);
  [[nodiscard]] std::vector<WeightsReport> vanished() const;

  Options options_;
  HttpClient& http_;
  Clock& clock_;
  Identity wanted_;             ///< ordered last, of this process
  Identity signalled_;          ///< the newest that may have been taken
  bool reset_unknown_ = false;  ///< the backend has refused the field
  fireworks::Condition condition_;
  std::vector<WeightsReport> last_;  ///< the newest that were listed
  TimePoint asked_at_{};             ///< for the condition; zero: never
  bool sick_ = false;                ///< as of the newest look
};

}  // namespace ebb
