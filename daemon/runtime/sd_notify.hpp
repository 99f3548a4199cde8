#pragma once

#include <optional>
#include <string>

#include "daemon/model/time.hpp"

namespace ebb {

/// Tells systemd how we are, in its datagram protocol (sd_notify(3)); does nothing where NOTIFY_SOCKET is not set. The
/// variables are taken out of the environment, so that no child speaks for us. A message that cannot be sent is lost, as
/// systemd intends.
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
  void send(const std::string& message);

  int socket_ = -1;
  std::string address_;
  std::optional<Duration> interval_;
};

}  // namespace ebb
