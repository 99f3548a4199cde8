#include "daemon/runtime/signals.hpp"

#include <unistd.h>

#include <csignal>
#include <utility>

namespace ebb {

Signals::Signals(boost::asio::any_io_executor executor, std::function<void()> on_stop, std::function<void()> on_reload)
    : set_(executor, SIGTERM, SIGINT, SIGHUP), on_stop_(std::move(on_stop)), on_reload_(std::move(on_reload)) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  wait();
}

void Signals::wait() {
  set_.async_wait([this](const boost::system::error_code& failure, int number) {
    if (failure) return;
    wait();
    if (number == SIGHUP) {
      on_reload_();
    } else if (std::exchange(stopped_, true)) {
      ::_exit(1);
    } else {
      on_stop_();
    }
  });
}

}  // namespace ebb
