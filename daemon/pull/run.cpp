#include "daemon/pull/run.hpp"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "daemon/api/server.hpp"
#include "daemon/api/wire.hpp"
#include "daemon/ports/spawn.hpp"
#include "daemon/pull/service.hpp"
#include "daemon/runtime/sd_notify.hpp"
#include "daemon/runtime/signals.hpp"
#include "daemon/version.hpp"

namespace ebb::pull {
namespace {

namespace asio = boost::asio;

constexpr Duration kLastAnswers{2'000};
constexpr Duration kDrawEvery{200};
constexpr auto kDone = asio::as_tuple(asio::use_awaitable);

/// Frames refer to what was made after the context: they end before it does (STYLE 31).
class LoopContext final : public asio::io_context {
 public:
  LoopContext() : asio::io_context(1) {}
  void drop_frames() { shutdown(); }
};

/// A download has one descriptor a file, and a large model has hundreds of files.
void raise_descriptor_limit() {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

struct Parts {
  std::unique_ptr<Store> store;
  std::unique_ptr<Shelf> shelf;
};

Result<Parts> open_parts(const Options& options) {
  raise_descriptor_limit();
  Parts parts;
  Result<std::unique_ptr<Store>> store = open_store(options.store);
  if (!store.ok()) return store.error();
  parts.store = std::move(*store);
  Result<std::unique_ptr<Shelf>> shelf = Shelf::open(options.directory);
  if (!shelf.ok()) return shelf.error();
  parts.shelf = std::move(*shelf);
  return parts;
}

int usage_error(const Error& error) {
  std::fprintf(stderr, "ebb-pull: %s\n", error.what.c_str());
  return kUsage;
}

Result<ApiConfig> api_config(const Options& options) {
  ApiConfig config;
  config.listen = options.listen;
  if (!options.token.empty()) config.tokens.push_back({"pull", options.token, {"operate"}});
  const auto endpoint = endpoint_from(options.listen);
  if (!endpoint.ok()) return endpoint.error();
  if (!endpoint->address().is_loopback() && options.token.empty())
    return Error{ErrorCode::denied, "--listen " + options.listen + " is beyond loopback, which takes --token", false};
  return config;
}

/// How far one pull is, on one line of a terminal.
std::string bar(const std::string& identity, const Progress& progress) {
  constexpr std::uint64_t kWidth = 30;
  const std::uint64_t total = std::max<std::uint64_t>(progress.total, 1);
  const std::uint64_t done = std::min(progress.done.load(), total);
  const auto filled = static_cast<std::size_t>(done * kWidth / total);
  return fmt::format("\r{} [{}{}] {:3}% {} of {} MiB\x1b[K", identity, std::string(filled, '#'),
                     std::string(kWidth - filled, '.'), done * 100 / total, done >> 20, progress.total.load() >> 20);
}

/// One pull in the foreground, on a thread of its own; this one draws and listens to signals.
class Foreground {
 public:
  Foreground(Puller& puller, Path path, Duration timeout)
      : puller_(puller),
        path_(std::move(path)),
        draw_(io_),
        limit_(io_, timeout),
        signals_(
            io_.get_executor(), [this] { interrupt(); }, [] {}) {}

  Status run() {
    if (::isatty(STDERR_FILENO) == 1) spawn(io_.get_executor(), draw());
    spawn(io_.get_executor(), pull());
    spawn(io_.get_executor(), watch());
    io_.run();
    worker_.join();
    io_.drop_frames();
    if (timed_out_ && !done_.ok()) return Error{ErrorCode::timeout, "not done in time", true};
    return done_;
  }
  [[nodiscard]] bool interrupted() const { return interrupted_; }

 private:
  void interrupt() {
    interrupted_ = true;
    stop_.request();
  }

  awaitable<void> pull() {
    auto work = [this] { return puller_.pull(path_, progress_, stop_); };
    done_ = co_await worker_.run(std::move(work));
    over_ = true;
    io_.stop();
  }

  awaitable<void> watch() {
    const auto [error] = co_await limit_.async_wait(kDone);
    if (error) co_return;
    timed_out_ = true;
    stop_.request();
  }

  awaitable<void> draw() {
    while (!over_) {
      const std::string line = bar(path_.back().identity, progress_);
      std::fputs(line.c_str(), stderr);
      draw_.expires_after(kDrawEvery);
      co_await draw_.async_wait(kDone);
    }
  }

  LoopContext io_;
  Puller& puller_;
  Path path_;
  Progress progress_;
  Stop stop_;
  asio::steady_timer draw_, limit_;
  Status done_ = stopped();
  bool over_ = false;
  bool interrupted_ = false;
  bool timed_out_ = false;
  Signals signals_;
  Worker worker_;
};

}  // namespace

int get(const Options& options, const Path& path) {
  Result<Parts> parts = open_parts(options);
  if (!parts.ok()) return usage_error(parts.error());
  Puller puller(*parts->shelf, *parts->store, options.pull);
  Foreground foreground(puller, path, options.timeout);
  const Status done = foreground.run();
  if (::isatty(STDERR_FILENO) == 1) std::fputs("\r\x1b[K", stderr);
  if (done.ok()) {
    std::printf("%s\n", parts->shelf->path(path.back().identity).c_str());
    return kReady;
  }
  std::fprintf(stderr, "ebb-pull: %s\n", done.error().what.c_str());
  if (foreground.interrupted()) return kStopped;
  return done.error().retryable ? kTryAgain : kForGood;
}

int serve(const Options& options) {
  const Result<ApiConfig> config = api_config(options);
  if (!config.ok()) return usage_error(config.error());
  Result<Parts> parts = open_parts(options);
  if (!parts.ok()) return usage_error(parts.error());
  LoopContext io;
  SdNotify systemd;
  Puller puller(*parts->shelf, *parts->store, options.pull);
  Service service(io.get_executor(), *parts->shelf, puller, *config, options.timeout);
  Result<std::unique_ptr<Server>> server = Server::listen(io.get_executor(), *config, service);
  if (!server.ok()) return usage_error(server.error());
  const auto last_words = [](Server& listener, asio::io_context& loop) -> awaitable<void> {
    co_await listener.finished(kLastAnswers);
    loop.stop();
  };
  const Signals signals(
      io.get_executor(),
      [&] {
        spdlog::info("stop=asked");
        systemd.stopping();
        service.stop();
        (*server)->stop();
        spawn(io.get_executor(), last_words(**server, io));
      },
      [] {});
  spdlog::info("version={} listen={} port={} directory={} store={} keep={}", kVersion, options.listen,
               (*server)->port(), options.directory, options.store.url, options.pull.keep);
  for (const Complete& snapshot : parts->shelf->all())
    spdlog::info("snapshot={} is=ready bytes={}", snapshot.identity, snapshot.bytes());
  systemd.ready();
  io.run();
  service.join();
  io.drop_frames();
  return kReady;
}

}  // namespace ebb::pull
