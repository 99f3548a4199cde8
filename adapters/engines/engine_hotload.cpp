#include "adapters/engines/engine_hotload.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "adapters/engines/puller.hpp"
#include "config/hotload_rules.hpp"
#include "daemon/ports/gather.hpp"

namespace ebb {
namespace {

using SharedPtr = std::shared_ptr<const EngineHotload::Shared>;
using MemoryPtr = std::shared_ptr<EngineMemory>;

constexpr Duration kResumePause{500};  // between two tries to resume an engine that did not answer
constexpr std::size_t kNotesMax = 3;   // in a deployment's condition

Error of(const EngineAddress& engine, Error error) {
  error.what = engine.replica.value + ": " + error.what;
  return error;
}

bool is_refused(const Error& error) {
  return error.code == ErrorCode::invalid || error.code == ErrorCode::denied || error.code == ErrorCode::not_found ||
         error.code == ErrorCode::conflict;
}

/// All of them, or the error that says most: one that will not go away comes first.
Status all_of(const std::vector<std::optional<Status>>& answers, const std::vector<EngineAddress>& engines) {
  std::optional<Error> first;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i] && answers[i]->ok()) continue;
    const Error late{ErrorCode::timeout, "no answer in time", true};
    const Error error = of(engines[i], answers[i] ? answers[i]->error() : late);
    if (!first || (is_refused(error) && !is_refused(*first))) first = error;
  }
  if (first) return *first;
  return Done();
}

awaitable<Status> pause_engine(SharedPtr shared, MemoryPtr memory, std::string url, LoadOrder order,
                               TimePoint deadline) {
  memory->paused = true;  // from here on it may be
  co_return co_await shared->dialect->pause(std::move(url), order.transition, order.reset_cache, deadline);
}

awaitable<Status> resume_engine(SharedPtr shared, MemoryPtr memory, std::string url, TimePoint deadline) {
  // Weights that change under a running step hang the engine. What is under way ends by `update_timeout`.
  if (memory->tasks > 0) {
    co_return Error{ErrorCode::throttled, "its weights are being changed; it is resumed afterwards", true};
  }
  for (;;) {
    const Status done = co_await shared->dialect->resume(url, deadline);
    if (done.ok()) memory->paused = false;
    const bool again = !done.ok() && !is_refused(done.error());
    if (!again || shared->now() + kResumePause >= deadline) co_return done;
    const TimePoint next = shared->now() + kResumePause;
    co_await shared->http.clock().sleep_until(next);
  }
}

awaitable<Status> pull_by_engine(SharedPtr shared, std::string url, LoadOrder order, TimePoint deadline) {
  co_return co_await shared->dialect->pull(std::move(url), std::move(order), deadline);
}

std::string puller_for(const std::string& puller, const std::string& engine) {
  std::string out = puller;
  if (const std::size_t at = out.find("{host}"); at != std::string::npos) out.replace(at, 6, host_of(engine));
  return out;
}

}  // namespace

EngineHotload::EngineHotload(EngineHotloadOptions options, std::unique_ptr<const EngineDialect> dialect,
                             HttpClient& http, Clock& clock, boost::asio::any_io_executor executor) {
  EngineHttp engine_http(options.config.endpoint, http, clock);
  auto shared = std::make_shared<Shared>(
      Shared{std::move(options), std::move(dialect), std::move(engine_http), std::move(executor)});
  shared_ = std::move(shared);
}

HotloadCapabilities EngineHotload::capabilities() const { return capabilities_of(shared_->options.config); }

EngineHotload::Memory EngineHotload::memory_of(const std::string& url) {
  Memory& memory = engines_[url];
  if (memory == nullptr) memory = std::make_shared<EngineMemory>();
  return memory;
}

awaitable<Result<HotloadSeen>> EngineHotload::look(std::vector<EngineAddress> engines, TimePoint deadline) {
  std::set<std::string> urls;
  std::vector<awaitable<EngineLook>> tasks;
  for (const EngineAddress& engine : engines) {
    urls.insert(engine.url);
    tasks.push_back(look_at_engine(shared_, memory_of(engine.url), engine, deadline));
  }
  // One that is away for a while comes back as it was left, unless its address is gone.
  std::erase_if(engines_, [&](const auto& one) { return !urls.contains(one.first) && one.second->tasks == 0; });
  std::vector<std::optional<EngineLook>> looks = co_await gather(shared_->http.clock(), std::move(tasks), deadline);
  HotloadSeen seen;
  std::vector<std::string> notes;
  bool no_endpoint = false;
  for (std::optional<EngineLook>& look : looks) {
    if (!look) continue;
    if (look->report) seen.replicas.push_back(std::move(*look->report));
    if (!look->note.empty()) notes.push_back(std::move(look->note));
    no_endpoint = no_endpoint || look->no_endpoint;
  }
  // Engines that are up, and none of them can be asked: that will not change by waiting.
  if (seen.replicas.empty() && no_endpoint) co_return Error{ErrorCode::not_found, notes.front(), false};
  std::sort(seen.replicas.begin(), seen.replicas.end(),
            [](const WeightsReport& a, const WeightsReport& b) { return a.replica < b.replica; });
  for (std::size_t i = 0; i < std::min(notes.size(), kNotesMax); ++i) seen.condition += (i == 0 ? "" : "; ") + notes[i];
  if (notes.size() > kNotesMax) seen.condition += "; and " + std::to_string(notes.size() - kNotesMax) + " more";
  co_return seen;
}

awaitable<Status> EngineHotload::stage(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) {
  const HotloadConfig& config = shared_->options.config;
  if (config.weights_from == WeightsFrom::store) co_return Done();
  if (config.weights_from == WeightsFrom::ebb_pull) {
    co_return co_await stage_hosts(std::move(order.path), std::move(engines), deadline);
  }
  std::vector<awaitable<Status>> tasks;
  for (const EngineAddress& engine : engines) tasks.push_back(pull_by_engine(shared_, engine.url, order, deadline));
  const auto answers = co_await gather(shared_->http.clock(), std::move(tasks), deadline);
  co_return all_of(answers, engines);
}

awaitable<Status> EngineHotload::stage_hosts(std::vector<Snapshot> path, std::vector<EngineAddress> engines,
                                             TimePoint deadline) {
  const Identity target = path.back().identity();
  std::map<std::string, std::vector<Memory>> pullers;
  for (const EngineAddress& engine : engines) {
    pullers[puller_for(shared_->options.config.puller, engine.url)].push_back(memory_of(engine.url));
  }
  std::vector<awaitable<Result<std::string>>> tasks;
  for (const auto& [puller, on_it] : pullers) tasks.push_back(pull_snapshot(shared_->http, puller, path, deadline));
  const auto answers = co_await gather(shared_->http.clock(), std::move(tasks), deadline);
  std::optional<Error> first;
  std::size_t i = 0;
  for (const auto& [puller, on_it] : pullers) {
    const std::optional<Result<std::string>>& answer = answers[i++];
    if (answer && answer->ok()) {
      for (const Memory& memory : on_it) memory->directories[target] = answer->value();
      continue;
    }
    const Error late{ErrorCode::unreachable, "ebb-pull at " + puller + ": not there in time", true};
    const Error error = answer ? answer->error() : late;
    if (!first || (is_refused(error) && !is_refused(*first))) first = error;
  }
  if (first) co_return *first;
  co_return Done();
}

std::string EngineHotload::directory_of(const LoadOrder& order, const EngineMemory& memory) const {
  const EngineHotloadOptions& options = shared_->options;
  if (options.config.weights_from == WeightsFrom::store) return options.store + "/" + order.target().value;
  if (options.config.weights_from == WeightsFrom::engine) return options.config.checkpoint_dir;
  const auto at = memory.directories.find(order.target());
  return at == memory.directories.end() ? "" : at->second;
}

awaitable<Status> EngineHotload::signal(LoadOrder order, std::vector<EngineAddress> engines, TimePoint) {
  for (const EngineAddress& engine : engines) {
    if (directory_of(order, *memory_of(engine.url)).empty()) {
      co_return Error{ErrorCode::unreachable, engine.replica.value + ": " + order.target().value + " is not staged",
                      true};
    }
  }
  for (const EngineAddress& engine : engines) {
    const Memory memory = memory_of(engine.url);
    // The same order again, or one that an earlier daemon has begun: it is at it.
    const bool taken_over = memory->order.empty() && memory->target == order.target();
    if (memory->tasks > 0 && (memory->order == order.id || taken_over)) continue;
    EngineUpdate update;
    update.identity = order.target();
    update.directory = directory_of(order, *memory);
    update.transition = order.transition;
    update.reset = order.reset_cache;
    std::erase_if(memory->directories, [&](const auto& one) { return one.first != order.target(); });
    memory->order = order.id;
    begin_update(shared_, memory, engine.url, std::move(update));
  }
  co_return Done();
}

awaitable<Status> EngineHotload::pause(LoadOrder order, std::vector<EngineAddress> engines, TimePoint deadline) {
  std::vector<awaitable<Status>> tasks;
  for (const EngineAddress& engine : engines) {
    tasks.push_back(pause_engine(shared_, memory_of(engine.url), engine.url, order, deadline));
  }
  const auto answers = co_await gather(shared_->http.clock(), std::move(tasks), deadline);
  co_return all_of(answers, engines);
}

awaitable<Status> EngineHotload::resume(std::vector<EngineAddress> engines, TimePoint deadline) {
  std::vector<awaitable<Status>> tasks;
  for (const EngineAddress& engine : engines) {
    tasks.push_back(resume_engine(shared_, memory_of(engine.url), engine.url, deadline));
  }
  const auto answers = co_await gather(shared_->http.clock(), std::move(tasks), deadline);
  co_return all_of(answers, engines);
}

awaitable<Status> EngineHotload::reset(TimePoint) { co_return Done(); }

}  // namespace ebb
