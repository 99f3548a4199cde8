// What the daemon shows: the newest values as a whole, an hour of history, metrics, and whoever listens.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "daemon/ports/clock.hpp"
#include "daemon/ports/control.hpp"
#include "daemon/runtime/control_loop.hpp"
#include "daemon/runtime/sd_notify.hpp"
#include "daemon/runtime/telemetry.hpp"

namespace ebb {

/// Hears the loop and keeps what the API reads. Control thread.
class Board final : public LoopListener {
 public:
  Board(const Clock& clock, Telemetry& telemetry, SdNotify& systemd)
      : clock_(clock), telemetry_(telemetry), systemd_(systemd), started_at_(clock.now()) {}

  void observed(const Observation& seen, Duration took) override;
  void decided(const Observation& seen, const Decision& decision, Duration took) override;
  void finished(const Finished& action) override;
  void state_is(const State& state) override;
  void ledger_is(const std::string& problem) override;
  void progress(TimePoint now) override;

  void reloaded(const ReloadStatus& status, std::shared_ptr<const Config> config);

  [[nodiscard]] BoardView view() const;
  [[nodiscard]] const std::deque<HistoryPoint>& history() const { return history_; }
  [[nodiscard]] std::shared_ptr<void> subscribe(Control::Listener listener);
  /// A decision has been made and the loop is on time.
  [[nodiscard]] std::string not_ready_why(TimePoint now) const;

 private:
  void publish(const std::string& name, const std::string& json);

  const Clock& clock_;
  Telemetry& telemetry_;
  SdNotify& systemd_;
  TimePoint started_at_;
  TimePoint fed_at_{};  ///< the watchdog
  TimePoint progress_at_{};
  std::shared_ptr<const Config> config_;
  std::shared_ptr<const Observation> seen_;
  std::shared_ptr<const Decision> decision_;
  std::shared_ptr<const State> state_;
  ReloadStatus reload_;
  std::string ledger_problem_;
  std::deque<HistoryPoint> history_;
  std::map<std::uint64_t, Control::Listener> listeners_;
  std::uint64_t next_listener_ = 0;
  std::shared_ptr<Board*> self_ = std::make_shared<Board*>(this);  ///< tokens outlive us safely: they hold it weakly
};

}  // namespace ebb
