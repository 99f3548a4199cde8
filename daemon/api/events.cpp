#include "daemon/api/events.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace ebb {

void EventStream::start(Control& control) {
  // The comment makes the head go out at once; `retry` is how soon a browser comes back.
  pending_ = ": ebb events\nretry: 2000\n\n";
  subscription_ = control.subscribe([self = weak_from_this()](const std::string& name, const std::string& json) {
    if (const auto alive = self.lock()) alive->take(name, json);
  });
}

void EventStream::take(const std::string& name, const std::string& json) {
  if (closed_) return;
  const std::string text = event_text(name, json);
  if (pending_.size() + text.size() > limits_.buffered_bytes) {
    pending_.clear();
    close();
    return;
  }
  pending_ += text;
  timer_.cancel();
}

awaitable<std::string> EventStream::next() {
  if (pending_.empty() && !closed_) {
    timer_.expires_after(limits_.heartbeat);
    co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  std::string piece;
  piece.swap(pending_);
  if (piece.empty() && !closed_) piece = ": alive\n\n";
  co_return piece;
}

void EventStream::close() {
  closed_ = true;
  subscription_.reset();
  timer_.cancel();
}

std::string event_text(const std::string& name, const std::string& text) {
  std::string out = "event: " + name + "\ndata: ";
  for (const char c : text) {
    if (c == '\r') continue;
    out += c;
    if (c == '\n') out += "data: ";
  }
  return out += "\n\n";
}

}  // namespace ebb
