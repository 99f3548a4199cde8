// What is done with one engine: an update in the background, and a look.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "adapters/engines/engine_hotload.hpp"
#include "daemon/ports/spawn.hpp"

namespace ebb {
namespace {

using SharedPtr = std::shared_ptr<const EngineHotload::Shared>;
using MemoryPtr = std::shared_ptr<EngineMemory>;

constexpr Duration kTurnCheck{100};   // how often a later update looks whether the one before has ended
constexpr Duration kReadMax{10'000};  // one question for the version
constexpr Duration kReadPause{500};   // between two of them
constexpr int kReads = 3;

awaitable<Result<EngineState>> read_again(SharedPtr shared, std::string url) {
  Result<EngineState> state = Error{ErrorCode::internal, "not read", true};
  for (int i = 0; i < kReads; ++i) {
    const TimePoint until = shared->now() + kReadMax;
    state = co_await shared->dialect->read(url, until);
    if (state.ok()) break;
    const TimePoint next = shared->now() + kReadPause;
    co_await shared->http.clock().sleep_until(next);
  }
  co_return state;
}

bool has(const EngineHotload::Shared& shared, const EngineUpdate& update, const std::string& version) {
  return version == (shared.options.adapter ? update.directory : update.identity.value);
}

std::string shown(const std::string& version) {
  if (version.empty()) return "none";
  if (const auto mark = update_mark_from(version)) return mark->before.empty() ? "none" : "'" + mark->before + "'";
  return "'" + version + "'";
}

/// Empty, or why the engine does not serve what it was told to.
awaitable<std::string> updated(SharedPtr shared, MemoryPtr memory, std::string url, EngineUpdate update) {
  const TimePoint until = std::min(update.deadline, shared->now() + kReadMax);
  const Result<EngineState> before = co_await shared->dialect->read(url, until);
  if (!before.ok()) co_return before.error().what;
  const auto old_mark = update_mark_from(before->version);
  const std::string old = old_mark ? old_mark->before : before->version;
  bool marked = false;
  if (!shared->options.adapter) {
    if (!old_mark) memory->before = identity_of_version(old);
    const Identity known = identity_of_version(old).value_or(Identity());
    const UpdateMark mark{update.identity, known.value, update.reset, update.transition, update.directory};
    std::string version = update_mark(mark);
    const Status said = co_await shared->dialect->name(url, std::move(version), until);
    // Old engines cannot be told; then they are loaded without.
    marked = said.ok();
    if (!said.ok() && said.error().code != ErrorCode::not_found) co_return said.error().what;
  }
  const EngineOutcome outcome = co_await shared->dialect->update(url, update);
  const Result<EngineState> after = co_await read_again(shared, url);
  const bool fits = after.ok() && has(*shared, update, after->version);
  if (outcome.status.ok() && fits) co_return "";
  if (outcome.status.ok()) {
    if (!after.ok()) co_return "its version cannot be read after the update: " + after.error().what;
    co_return "it answered success, but reports the version " + shown(after->version);
  }
  const ErrorCode code = outcome.status.error().code;
  const bool unheard = code == ErrorCode::timeout || code == ErrorCode::unreachable || code == ErrorCode::malformed;
  // Only the answer was lost.
  if (unheard && fits && shared->dialect->finishes_alone()) co_return "";
  if (outcome.intact && marked && !old_mark) {
    const TimePoint soon = shared->now() + kReadMax;
    (void)co_await shared->dialect->name(url, old, soon);
  }
  co_return outcome.status.error().what;
}

/// When its process began, asked only when it may be another one.
awaitable<void> meet(SharedPtr shared, MemoryPtr memory, std::string url, std::string version, TimePoint deadline) {
  const bool same = memory->version == version;
  memory->version = std::move(version);
  if (memory->met && same) co_return;
  std::string page_url = url_of(std::move(url), "/metrics");
  const Result<EngineAnswer> page = co_await shared->http.get(std::move(page_url), deadline);
  if (!page.ok()) co_return;
  const std::string began = page->ok() ? start_time_in("\n" + page->text) : "";
  if (!memory->incarnation.empty() && began != memory->incarnation) memory->failed.reset();
  memory->incarnation = began;
  memory->met = true;
}

/// An update that an earlier daemon has begun, and that the engine ends alone or not at all.
void report_orphan(const EngineHotload::Shared& shared, EngineMemory& memory, const UpdateMark& mark,
                   WeightsReport& report, std::string& note) {
  if (!shared.dialect->finishes_alone()) {
    note = report.replica.value + ": an update to " + mark.target.value + " was begun and never finished";
    return;
  }
  if (memory.orphan_since == TimePoint{}) memory.orphan_since = shared.now();
  report.current = identity_of_version(mark.before);
  report.stage = LoadStage::loading;
  report.target = mark.target;
  if (shared.now() - memory.orphan_since < shared.options.config.update_timeout) return;
  // Whatever was sent is over by now. The daemon may as well have ended between the mark and the update itself, so this
  // is no failure: the engine claims no weights and gets them anew.
  report.current.reset();
  report.stage = LoadStage::idle;
  report.target = Identity();
  note = report.replica.value + ": an update to " + mark.target.value + " was begun earlier and has not ended in " +
         to_text(shared.options.config.update_timeout);
}

/// Ends what an earlier daemon has begun: its engine still stands still for it, and nobody else will. It is begun anew,
/// since nobody knows how far it came; the engine takes one after the other.
void take_over(SharedPtr shared, MemoryPtr memory, const std::string& url, const EngineState& state) {
  const auto mark = update_mark_from(state.version);
  const bool ours = mark && !mark->directory.empty() && state.paused.value_or(false);
  if (!ours || shared->dialect->finishes_alone() || memory->newest > 0) return;
  EngineUpdate update;
  update.identity = mark->target;
  update.directory = mark->directory;
  update.transition = mark->transition;
  update.reset = mark->reset;
  spdlog::info("engine={} update={} taken_over=true", url, mark->target.value);
  begin_update(std::move(shared), std::move(memory), url, std::move(update));
}

/// An update from its start to what became of it. Waits until the one before has ended.
awaitable<void> update_in_background(SharedPtr shared, MemoryPtr memory, std::string url, EngineUpdate update,
                                     std::int64_t number) {
  while (memory->busy) {
    const TimePoint next = shared->now() + kTurnCheck;
    co_await shared->http.clock().sleep_until(next);
  }
  memory->busy = true;
  const Identity target = update.identity;
  std::string problem = co_await updated(shared, memory, url, std::move(update));
  memory->busy = false;
  --memory->tasks;
  memory->met = false;
  if (number != memory->newest) co_return;
  spdlog::info("engine={} update={} problem=\"{}\"", url, target.value, problem);
  if (!problem.empty()) memory->failed.emplace(target, std::move(problem));
  if (*shared->hear) (*shared->hear)();
}

}  // namespace

void begin_update(SharedPtr shared, MemoryPtr memory, const std::string& url, EngineUpdate update) {
  const auto mark = update_mark_from(memory->version);
  const std::string version = mark ? mark->before : memory->version;
  update.deadline = shared->now() + shared->options.config.update_timeout;
  memory->target = update.identity;
  memory->before = shared->options.adapter ? identity_of_path(version) : identity_of_version(version);
  // Parts of two are no version.
  if (mark && !shared->dialect->finishes_alone()) memory->before.reset();
  memory->failed.reset();
  memory->orphan_since = {};
  ++memory->tasks;
  const std::int64_t number = ++memory->newest;
  const boost::asio::any_io_executor executor = shared->executor;
  spawn(executor, update_in_background(std::move(shared), std::move(memory), url, std::move(update), number));
}

awaitable<EngineLook> look_at_engine(SharedPtr shared, MemoryPtr memory, EngineAddress engine, TimePoint deadline) {
  EngineLook look;
  WeightsReport report;
  report.replica = engine.replica;
  report.ready = true;
  if (memory->tasks > 0) {
    // An engine may answer nothing until it is done.
    report.incarnation = memory->incarnation;
    report.current = memory->before;
    report.stage = LoadStage::loading;
    report.target = memory->target;
    look.report = std::move(report);
    co_return look;
  }
  const Result<EngineState> state = co_await shared->dialect->read(engine.url, deadline);
  if (!state.ok()) {
    memory->met = false;
    look.no_endpoint = state.error().code == ErrorCode::not_found || state.error().code == ErrorCode::denied;
    if (look.no_endpoint) look.note = engine.replica.value + ": " + state.error().what;
    co_return look;
  }
  co_await meet(shared, memory, engine.url, state->version, deadline);
  if (memory->tasks == 0) take_over(shared, memory, engine.url, *state);
  // An update may have begun meanwhile: then what was read is of before.
  report.incarnation = memory->incarnation;
  const std::optional<UpdateMark> mark = update_mark_from(state->version);
  if (!mark) memory->orphan_since = {};
  report.current = shared->options.adapter ? identity_of_path(state->version) : identity_of_version(state->version);
  if (memory->tasks > 0) {
    report.current = memory->before;
    report.stage = LoadStage::loading;
    report.target = memory->target;
  } else if (memory->failed) {
    report.stage = LoadStage::error;
    report.target = memory->failed->first;
    report.error = memory->failed->second;
  } else if (mark) {
    report_orphan(*shared, *memory, *mark, report, look.note);
  }
  if (state->paused.value_or(false) && !memory->paused && look.note.empty()) {
    look.note = engine.replica.value + " stands still, and nobody here has paused it";
  }
  look.report = std::move(report);
  co_return look;
}

}  // namespace ebb
