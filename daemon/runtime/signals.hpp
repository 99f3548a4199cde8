#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/signal_set.hpp>
#include <functional>

namespace ebb {

/// SIGTERM and SIGINT: the first calls `on_stop`, the second ends the process at once with status 1. SIGHUP calls
/// `on_reload`. SIGPIPE and SIGXFSZ are ignored: a peer that is gone and a file that may not grow are errors of the
/// call. Handlers run on the executor.
class Signals {
 public:
  Signals(boost::asio::any_io_executor executor, std::function<void()> on_stop, std::function<void()> on_reload);

 private:
  void wait();

  boost::asio::signal_set set_;
  std::function<void()> on_stop_, on_reload_;
  bool stopped_ = false;
};

}  // namespace ebb
