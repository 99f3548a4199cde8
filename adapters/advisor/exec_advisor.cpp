#include "adapters/advisor/exec_advisor.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include "adapters/advisor/child.hpp"
#include "adapters/advisor/protocol.hpp"
#include "daemon/ports/spawn.hpp"

namespace ebb {
namespace {

using advisor::Answer;
using advisor::Child;

constexpr std::size_t kMostUnsent = 1u << 20;  // questions a child has not read
constexpr Duration kLastMoment{100};           // between the end of the output and that of the process
constexpr int kLastReads = 8;                  // of what a child that ended has left in its pipe
constexpr auto kAsTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

/// A question that has no answer yet.
struct Pending {
  explicit Pending(boost::asio::any_io_executor executor)
      : wake(std::move(executor), boost::asio::steady_timer::time_point::max()) {}
  std::optional<Reading<Advice>> reading;
  boost::asio::steady_timer wake;
};

awaitable<void> wake_at(std::shared_ptr<Pending> pending, Clock& clock, TimePoint at) {
  co_await clock.sleep_until(at);
  pending->wake.cancel();
}

/// A child and how the talk with it goes.
struct Peer {
  std::shared_ptr<Child> child;
  TimePoint started_at{};
  std::optional<TimePoint> silent_since;  ///< the oldest question after its last word
  std::string heard, unsent;
  bool writing = false;
  bool ended = false;
  std::string condemned;  ///< why it was killed; empty: it was not
  std::uint64_t questions = 0, answers = 0;
};

}  // namespace

class ExecAdvisor::Talk : public std::enable_shared_from_this<Talk> {
 public:
  Talk(ExecAdvisorOptions options, Clock& clock, boost::asio::any_io_executor executor)
      : options_(std::move(options)), clock_(clock), executor_(std::move(executor)) {}

  awaitable<Reading<Advice>> ask(AdviceQuestion question, TimePoint until);
  void close();
  [[nodiscard]] const ExecAdvisorOptions& options() const { return options_; }

 private:
  // They own what they use, since nobody waits for them.
  static awaitable<void> read(std::shared_ptr<Talk> self, std::shared_ptr<Peer> peer);
  static awaitable<void> write(std::shared_ptr<Peer> peer);
  static awaitable<void> reap(std::shared_ptr<Talk> self, std::shared_ptr<Peer> peer);

  bool is_up();
  void send(const std::string& line);
  std::optional<std::size_t> take_in(Peer& peer);
  void hear(Peer& peer, std::string_view line);
  void condemn(Peer& peer, const std::string& why);
  void failed(const std::string& why, std::optional<TimePoint> started_at);
  void refuse_all(const std::string& why);
  [[nodiscard]] Reading<Advice> missing(const std::string& why) const;

  const ExecAdvisorOptions options_;
  Clock& clock_;
  boost::asio::any_io_executor executor_;
  std::shared_ptr<Peer> peer_;  ///< null: down
  std::map<std::uint64_t, std::shared_ptr<Pending>> pending_;
  std::uint64_t seq_ = 0;
  int failures_ = 0;  ///< in a row
  TimePoint next_start_{};
  std::string why_;  ///< it is down
  bool closed_ = false;
};

Reading<Advice> ExecAdvisor::Talk::missing(const std::string& why) const { return Missing{why, clock_.now()}; }

awaitable<Reading<Advice>> ExecAdvisor::Talk::ask(AdviceQuestion question, TimePoint until) {
  const auto self = shared_from_this();
  until = std::min(until, clock_.now() + options_.deadline);
  if (!is_up()) co_return missing(why_);
  const std::uint64_t seq = ++seq_;
  const auto pending = std::make_shared<Pending>(executor_);
  pending_[seq] = pending;
  send(advisor::question_line(seq, question));
  if (!pending->reading) {
    spawn(executor_, wake_at(pending, clock_, until));
    co_await pending->wake.async_wait(kAsTuple);
  }
  pending_.erase(seq);
  if (pending->reading) co_return *pending->reading;
  if (peer_ && peer_->silent_since && clock_.now() - *peer_->silent_since > options_.patience) {
    condemn(*peer_, "was silent for " + to_text(options_.patience));
  }
  co_return missing("no answer within " + to_text(options_.deadline));
}

/// Starts it when that is due. False: it is down, `why_` says why.
bool ExecAdvisor::Talk::is_up() {
  if (closed_) return false;
  if (peer_) return peer_->condemned.empty() && !peer_->ended;
  if (clock_.now() < next_start_) return false;
  Result<std::shared_ptr<Child>> child = Child::start(executor_, options_.command, options_.hidden);
  if (!child.ok()) {
    failed(child.error().what, std::nullopt);
    return false;
  }
  peer_ = std::make_shared<Peer>();
  peer_->child = *std::move(child);
  peer_->started_at = clock_.now();
  spdlog::info("adviser={} started pid={}", options_.name, peer_->child->pid());
  spawn(executor_, read(shared_from_this(), peer_));
  spawn(executor_, reap(shared_from_this(), peer_));
  return true;
}

void ExecAdvisor::Talk::send(const std::string& line) {
  ++peer_->questions;
  if (!peer_->silent_since) peer_->silent_since = clock_.now();
  peer_->unsent += line;
  if (peer_->unsent.size() > kMostUnsent) return condemn(*peer_, "does not read what it is asked");
  if (!std::exchange(peer_->writing, true)) spawn(executor_, write(peer_));
}

awaitable<void> ExecAdvisor::Talk::write(std::shared_ptr<Peer> peer) {
  while (!peer->unsent.empty() && !peer->ended) {
    const std::string chunk = std::exchange(peer->unsent, {});
    const auto bytes = boost::asio::buffer(chunk);
    const auto [failure, count] = co_await boost::asio::async_write(peer->child->input(), bytes, kAsTuple);
    // It ends or has closed its input: the one is seen when it is reaped, the other as silence.
    if (failure) co_return;
  }
  peer->writing = false;
}

awaitable<void> ExecAdvisor::Talk::read(std::shared_ptr<Talk> self, std::shared_ptr<Peer> peer) {
  while (!peer->ended && peer->condemned.empty()) {
    const auto [failure] = co_await peer->child->output().async_wait(Child::Descriptor::wait_read, kAsTuple);
    if (failure || peer->ended) co_return;
    if (self->take_in(*peer) != std::size_t{0}) continue;
    // The end of the output is the end of the process, or will be: how it ended is said by `reap`.
    co_await self->clock_.sleep_until(self->clock_.now() + kLastMoment);
    if (!peer->ended) self->condemn(*peer, "closed its output");
  }
}

/// Reads once and hears every whole line. Nothing: there is nothing to be read now; 0: the end.
std::optional<std::size_t> ExecAdvisor::Talk::take_in(Peer& peer) {
  std::array<char, 16'384> bytes{};
  const ssize_t count = ::read(peer.child->output().native_handle(), bytes.data(), bytes.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  if (count <= 0) return 0;
  peer.heard.append(bytes.data(), static_cast<std::size_t>(count));
  std::size_t begin = 0;
  for (auto end = peer.heard.find('\n'); end != std::string::npos; end = peer.heard.find('\n', begin)) {
    if (!peer.condemned.empty()) break;
    hear(peer, std::string_view(peer.heard).substr(begin, end - begin));
    begin = end + 1;
  }
  peer.heard.erase(0, begin);
  if (peer.heard.size() > advisor::kMostLine) {
    condemn(peer, "printed a line of more than " + std::to_string(advisor::kMostLine) + " bytes");
  }
  return static_cast<std::size_t>(count);
}

void ExecAdvisor::Talk::hear(Peer& peer, std::string_view line) {
  const Result<Answer> answer = advisor::answer_from(line);
  if (!answer.ok()) return condemn(peer, answer.error().what);
  if (answer->seq == 0) {
    return condemn(peer, answer->advice.ok() ? "answered a question 0" : answer->advice.error().what);
  }
  if (++peer.answers > peer.questions) return condemn(peer, "answers more than it was asked");
  peer.silent_since.reset();
  const auto found = pending_.find(answer->seq);
  if (found == pending_.end()) return;  // too late
  if (answer->advice.ok()) {
    found->second->reading = Sample<Advice>{*answer->advice, clock_.now()};
  } else {
    found->second->reading = missing(answer->advice.error().what);
  }
  found->second->wake.cancel();
}

void ExecAdvisor::Talk::condemn(Peer& peer, const std::string& why) {
  if (!peer.condemned.empty() || peer.ended) return;
  peer.condemned = why_ = why;
  refuse_all(why);
  peer.child->kill();
}

awaitable<void> ExecAdvisor::Talk::reap(std::shared_ptr<Talk> self, std::shared_ptr<Peer> peer) {
  const auto [failure] = co_await peer->child->ended().async_wait(Child::Descriptor::wait_read, kAsTuple);
  if (failure) co_return;
  for (int i = 0; i < kLastReads && peer->condemned.empty(); ++i) {
    const std::optional<std::size_t> count = self->take_in(*peer);
    if (!count || *count == 0) break;
  }
  peer->ended = true;
  const std::string how = peer->child->reap();
  boost::system::error_code ignored;
  peer->child->output().close(ignored);
  peer->child->input().close(ignored);
  if (self->closed_) co_return;
  const std::string why = peer->condemned.empty() ? how : peer->condemned;
  self->peer_.reset();
  self->failed(why, peer->started_at);
}

void ExecAdvisor::Talk::failed(const std::string& why, std::optional<TimePoint> started_at) {
  const TimePoint now = clock_.now();
  if (started_at && now - *started_at >= options_.backoff_max) failures_ = 0;
  Duration pause = options_.backoff_first;
  for (int i = 0; i < failures_ && pause < options_.backoff_max; ++i) pause *= 2;
  pause = std::min(pause, options_.backoff_max);
  ++failures_;
  next_start_ = now + pause;
  refuse_all(why);
  why_ = why + "; it is started again at " + to_iso(next_start_);
  spdlog::warn("adviser={} failed why=\"{}\" failures={} pause={}", options_.name, why, failures_, to_text(pause));
}

void ExecAdvisor::Talk::refuse_all(const std::string& why) {
  for (const auto& [seq, pending] : pending_) {
    if (pending->reading) continue;
    pending->reading = missing(why);
    pending->wake.cancel();
  }
}

void ExecAdvisor::Talk::close() {
  closed_ = true;
  why_ = "no longer asked";
  refuse_all(why_);
  if (peer_) peer_->child->kill();
}

ExecAdvisor::ExecAdvisor(ExecAdvisorOptions options, Clock& clock, boost::asio::any_io_executor executor)
    : talk_(std::make_shared<Talk>(std::move(options), clock, std::move(executor))) {}

ExecAdvisor::~ExecAdvisor() { close(); }

awaitable<Reading<Advice>> ExecAdvisor::advise(AdviceQuestion question, TimePoint deadline) {
  return talk_->ask(std::move(question), deadline);
}

Duration ExecAdvisor::wants() const { return talk_->options().deadline; }

const ExecAdvisorOptions& ExecAdvisor::options() const { return talk_->options(); }

void ExecAdvisor::close() { talk_->close(); }

}  // namespace ebb
