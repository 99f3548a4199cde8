// GET /v1/events: server-sent events out of the daemon's own. Internal to the API.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "daemon/api/http.hpp"
#include "daemon/ports/control.hpp"

namespace ebb {

struct EventLimits {
  std::size_t buffered_bytes = 4u << 20;  ///< what a slow client may leave untaken before it is dropped
  std::chrono::milliseconds heartbeat{15'000};
};

/// One client. Events wait in a bounded buffer; a client that lets it overflow is dropped, since one that misses
/// events without knowing is worse off than one that connects again.
class EventStream final : public BodyStream, public std::enable_shared_from_this<EventStream> {
 public:
  EventStream(boost::asio::any_io_executor executor, EventLimits limits)
      : timer_(std::move(executor)), limits_(limits) {}

  void start(Control& control);
  awaitable<std::string> next() override;
  void close() override;

 private:
  void take(const std::string& name, const std::string& json);

  boost::asio::steady_timer timer_;
  EventLimits limits_;
  std::shared_ptr<void> subscription_;
  std::string pending_;
  bool closed_ = false;
};

/// The wire form: "event: name\ndata: text\n\n"; a line break in the text would end the data early, so each line gets
/// its own.
std::string event_text(const std::string& name, const std::string& text);

}  // namespace ebb
