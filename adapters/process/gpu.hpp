// Who uses the GPUs' memory, as nvidia-smi sees it: the last word on whether a slot is free.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/model/result.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/worker.hpp"

namespace ebb::process {

struct Gpu {
  std::string index;
  std::string uuid;
  long long memory_mib = 0;
  std::vector<std::string> processes;  ///< pids; of other containers too, or none at all inside one
};

/// Reads `nvidia-smi --query-gpu=index,uuid,memory.used` and `--query-compute-apps=gpu_uuid,pid`, both as
/// csv,noheader,nounits. `malformed` when the first is not such a table; lines of the second that are none are passed
/// over.
Result<std::vector<Gpu>> gpus_from(const std::string& table, const std::string& apps);

struct GpuSample {
  TimePoint asked_at{};  ///< what it says was true at this time or later
  std::vector<Gpu> gpus;
  std::string problem;  ///< why nothing is known; empty when it is
};

enum class GpuUse { free, busy, unknown };
/// A slot's use. A slot nvidia-smi has no line for (a MIG slice) counts as free: there is nothing to read.
GpuUse use_of(const GpuSample& sample, const std::string& slot);

/// Runs nvidia-smi on a worker of its own, since a troubled driver lets it hang, and keeps the last answer. Control
/// thread. Lives as long as a run is under way; `close` before the io_context goes.
class GpuWatch : public std::enable_shared_from_this<GpuWatch> {
 public:
  /// `program`: absolute path; empty means that there is no nvidia-smi here, and every GPU is free.
  GpuWatch(std::string program, Clock& clock, boost::asio::any_io_executor executor);

  [[nodiscard]] bool active() const { return !program_.empty() && !absent_; }
  /// Starts a run unless one is under way or the last one is younger than `max_age`.
  void refresh(Duration max_age);
  /// The use of a slot at or after `since`; unknown when nothing so young has been seen.
  [[nodiscard]] GpuUse use(const std::string& slot, TimePoint since) const;
  [[nodiscard]] std::string problem() const { return last_ ? last_->problem : "nvidia-smi has not answered yet"; }
  /// Waits until a sample asked for at or after `since` is there, or `until`.
  awaitable<void> await_sample(TimePoint since, TimePoint until);
  void close();

 private:
  static awaitable<void> run(std::shared_ptr<GpuWatch> self);

  std::string program_;
  Clock& clock_;
  boost::asio::any_io_executor executor_;
  Worker worker_;
  bool running_ = false;
  bool closed_ = false;
  bool absent_ = false;  ///< it said that there is no driver
  std::optional<GpuSample> last_;
};

}  // namespace ebb::process
