// What the weight endpoints of both dialects do to the engine: load a directory, name what was loaded, keep LoRA
// adapters. The routes are in vllm_routes.cpp and sglang_routes.cpp.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/emulators/common/tasks.hpp"
#include "tests/emulators/engine/engine.hpp"
#include "tests/emulators/engine/faults.hpp"

namespace ebb::emulator {

/// Knobs for what the engines' documents leave open are among them.
struct WeightsConfig {
  bool dev_mode = false;              ///< the endpoints exist (VLLM_SERVER_DEV_MODE)
  double load_time_s = 0;             ///< of one load, beside the reading
  bool early = false;                 ///< vLLM before start_weight_update and finish_weight_update
  bool keep_clears_cache = false;     ///< vLLM: clear_cache counts with mode=keep as well
  bool retract_cannot_flush = false;  ///< SGLang: as its issue 33784 says
  std::string admin_key;              ///< the endpoints want it as a Bearer token
  std::function<void()> crash;        ///< what crash-on-update does; empty: the process ends
};

class WeightControl {
 public:
  WeightControl(asio::io_context& io, Engine& engine, const Faults& faults, WeightsConfig config, std::string identity);

  /// Reads every tensor of a whole snapshot and serves it, one load after the other. On an error the old weights stay.
  /// Without a version its name is the directory's, until `name` gives it one.
  awaitable<Status> load(std::string directory, std::optional<std::string> version);
  /// The version that is reported. It names the weights themselves only when they were loaded without one.
  void name(const std::string& version);
  awaitable<Status> load_adapter(std::string adapter, std::string directory);
  Status unload_adapter(const std::string& adapter);

  [[nodiscard]] const WeightsConfig& config() const { return config_; }
  [[nodiscard]] bool has(Fault fault) const { return faults_.contains(fault); }
  [[nodiscard]] Engine& engine() { return engine_; }
  [[nodiscard]] const std::string& version() const { return version_; }
  [[nodiscard]] const WeightsTag& weights() const { return engine_.weights(""); }
  [[nodiscard]] const std::map<std::string, std::string>& adapters() const { return adapters_; }  ///< path by name
  [[nodiscard]] const std::string& model_path() const { return model_path_; }
  [[nodiscard]] bool is_loading() const { return busy_; }
  [[nodiscard]] int loads_begun() const { return begun_; }
  /// Requests to the weight endpoints so far, "POST /pause?mode=keep {}"; a test reads them.
  [[nodiscard]] std::vector<std::string>& calls() { return calls_; }

 private:
  awaitable<void> begin();
  awaitable<Status> take_time();
  void end();

  Engine& engine_;
  const Faults& faults_;
  WeightsConfig config_;
  std::string version_;
  std::string model_path_;
  bool unnamed_ = false;
  std::map<std::string, std::string> adapters_;
  std::vector<std::string> calls_;
  Signal free_;
  bool busy_ = false;
  int begun_ = 0;
};

}  // namespace ebb::emulator
