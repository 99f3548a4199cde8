#pragma once

#include <optional>
#include <string>

#include "daemon/model/time.hpp"

namespace ebb {

/// Tells systemd how we are, in its datagram protocol (sd_notify(3)); does nothing where NOTIFY_SOCKET is not set. The
/// variables are taken out of the environment, so that no child speaks for us. Never blocks: while systemd does not
/// read, a change of state (ready, reloading, stopping) is kept and goes out with the next message, and the rest is
/// lost.
class SdNotify {
 public:
  SdNotify();
  ~SdNotify();
  SdNotify(const SdNotify&) = delete;
  SdNotify& operator=(const SdNotify&) = delete;

  void ready();
  void reloading();  ///< with MONOTONIC_USEC, as Type=notify-reload wants it; ended by ready()
  void stopping();
  void status(const std::string& line);
  void watchdog();
  /// How often the watchdog must be fed at the latest: half of WATCHDOG_USEC. Empty: nobody watches us.
  [[nodiscard]] std::optional<Duration> watchdog_interval() const { return interval_; }

 private:
  enum class Keep { no, yes };
  void send(const std::string& message, Keep keep);

  int socket_ = -1;
  std::string address_;
  std::string owed_;  ///< changes of state that did not go out
  std::optional<Duration> interval_;
};

}  // namespace ebb
