// Loads weights into self-hosted engines, whatever their dialect.
//
//   stage: files to their hosts -> pause -> signal: an update a coroutine and engine -> look -> resume
//
// An engine's update call blocks until it is done, for minutes; so the order is taken when the coroutines are started,
// and how each ends is what `look` reports. Success is what the engine reports afterwards, not what it answered.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/engines/dialect.hpp"
#include "adapters/engines/memory.hpp"
#include "daemon/ports/hotload.hpp"

namespace ebb {

struct EngineHotloadOptions {
  HotloadConfig config;
  std::string store;
  bool adapter = false;  ///< LoRA
};

class EngineHotload final : public Hotload {
 public:
  EngineHotload(EngineHotloadOptions options, std::unique_ptr<const EngineDialect> dialect, HttpClient& http,
                Clock& clock, boost::asio::any_io_executor executor);

  [[nodiscard]] HotloadCapabilities capabilities() const override;
  awaitable<Result<HotloadSeen>> look(std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> stage(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> signal(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> pause(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) override;
  awaitable<Status> resume(std::vector<EngineAddress> engines, TimePoint deadline) override;
  void on_load_end(std::function<void()> hear) override { *shared_->hear = std::move(hear); }
  awaitable<Status> reset(TimePoint deadline) override;

  /// What the coroutines in the background share with us; they may outlive us.
  struct Shared {
    EngineHotloadOptions options;
    std::unique_ptr<const EngineDialect> dialect;
    EngineHttp http;
    boost::asio::any_io_executor executor;                                                    ///< of the updates
    std::shared_ptr<std::function<void()>> hear = std::make_shared<std::function<void()>>();  ///< of their ends
    [[nodiscard]] TimePoint now() const { return http.clock().now(); }
  };

 private:
  using Memory = std::shared_ptr<EngineMemory>;
  [[nodiscard]] Memory memory_of(const std::string& url);
  awaitable<Status> stage_hosts(std::vector<Snapshot> path, std::vector<EngineAddress> engines, TimePoint deadline);
  [[nodiscard]] std::string directory_of(const LoadOrder& order, const EngineMemory& memory) const;

  std::shared_ptr<const Shared> shared_;
  std::map<std::string, Memory> engines_;  ///< by URL
};

/// Starts an update in the background, after the one before; what becomes of it is put into `memory`.
void begin_update(std::shared_ptr<const EngineHotload::Shared> shared, std::shared_ptr<EngineMemory> memory,
                  const std::string& url, EngineUpdate update);

/// What one engine reports; nothing: it does not answer yet. `note`: what somebody should know of it.
struct EngineLook {
  std::optional<WeightsReport> report;
  std::string note;
  bool no_endpoint = false;
};
awaitable<EngineLook> look_at_engine(std::shared_ptr<const EngineHotload::Shared> shared,
                                     std::shared_ptr<EngineMemory> memory, EngineAddress engine, TimePoint deadline);

}  // namespace ebb
