// Replicas as processes of this host, one ebb-shim beside each. What is true stands on disk (daemon/shim/layout.hpp);
// this object reads it, gives orders and starts shims. A new one on the same directory sees the same replicas.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "adapters/process/disk.hpp"
#include "adapters/process/gpu.hpp"
#include "adapters/process/health.hpp"
#include "adapters/process/judge.hpp"
#include "adapters/process/launch.hpp"
#include "config/config.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/fleet.hpp"
#include "daemon/ports/http_client.hpp"
#include "daemon/ports/worker.hpp"

namespace ebb {

using process::ProcessDeployment;

struct ProcessFleetOptions {
  FleetConfig fleet;
  Gpus gpus{1};  ///< of its pool; slots are 0..gpus-1 unless fleet.gpu_ids names them
  std::map<DeploymentId, ProcessDeployment> deployments;
  std::string directory;                   ///< base; made absolute, created when it does not exist
  std::string shim_path;                   ///< of ebb-shim
  std::string nvidia_smi = "nvidia-smi";   ///< looked up in PATH once; empty: never asked
  std::set<std::string> secret_variables;  ///< names of the daemon's variables no engine may see
  Duration lost_grace{30'000};             ///< past its deadline by this and still there: lost
  std::size_t keep_ended = 20;             ///< directories of ended replicas kept for their logs
};

/// Control thread, except for what its workers do. Coroutines of its methods must not outlive it.
class ProcessFleet : public Fleet {
 public:
  ProcessFleet(ProcessFleetOptions options, HttpClient& http, Clock& clock, boost::asio::any_io_executor executor);
  ~ProcessFleet() override;

  /// A reload: affects replicas started from now on, health checks and the GPUs that may be lent. The directory stays.
  void configure(FleetConfig fleet, Gpus gpus, std::map<DeploymentId, ProcessDeployment> deployments);
  /// The names of the daemon's variables that no engine started from now on may see.
  void hide(std::set<std::string> secret_variables) { options_.secret_variables = std::move(secret_variables); }
  /// Ends the workers; later calls answer `cancelled`. Replicas live on. Before the io_context goes.
  void close();

  awaitable<Result<FleetSeen>> view() override;
  awaitable<Result<Applied>> apply(Action action) override;
  awaitable<Status> renew(std::vector<ReplicaId> replicas, TimePoint now) override;
  awaitable<Status> forget(std::vector<ReplicaId> replicas) override;

 private:
  /// What one scan comes to.
  struct Judged {
    FleetSeen seen;
    std::set<std::string> free;  ///< slots that can be lent now
    std::set<int> ports;         ///< of replicas that are not gone
    bool waits_for_gpus = false;
  };
  class StartGate;

  awaitable<Result<process::Scan>> scanned();
  Judged judged(const process::Scan& scan);
  ReplicaSeen seen_of(const process::ReplicaOnDisk& disk, const process::Scan& scan, const std::string& boot);
  std::vector<std::string> slots_of(const process::ReplicaOnDisk& disk, const process::Scan& scan) const;
  process::GpuUse gpus_of(const process::ReplicaOnDisk& disk, const process::Scan& scan, TimePoint since) const;
  void add_spawning(Judged& out, std::set<std::string>& claimed) const;
  awaitable<void> check_health(const process::Scan& scan);
  awaitable<void> note_ready(const process::Scan& scan);

  awaitable<Result<Applied>> start(Action action);
  awaitable<Result<Applied>> start_each(const Action& action, const ProcessDeployment& deployment);
  enum class Started { yes, slot_taken, no, unknown };
  awaitable<Started> start_one(process::Launch launch, const ProcessDeployment& deployment, std::string& why);
  awaitable<int> exit_code_of(pid_t launcher);
  [[nodiscard]] std::string systemd_run() const;
  awaitable<Result<Applied>> order(Action action);
  [[nodiscard]] std::vector<std::string> slot_names() const;

  ProcessFleetOptions options_;
  process::Paths paths_;
  Clock& clock_;
  boost::asio::any_io_executor executor_;
  Worker worker_;
  std::shared_ptr<process::HealthBook> health_;
  std::shared_ptr<process::GpuWatch> gpus_;
  std::map<ReplicaId, process::Memory> memory_;
  std::map<ReplicaId, process::Launch> spawning_;  ///< by this object, right now
  std::string boot_;
  bool start_under_way_ = false;
  int last_port_ = 0;  ///< given out last
  bool closed_ = false;
};

}  // namespace ebb
