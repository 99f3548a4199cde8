// Engines that load what they are told, after a while, and a ledger of weights in memory.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/ports/clock.hpp"
#include "daemon/ports/hotload.hpp"
#include "daemon/ports/snapshot_verifier.hpp"
#include "daemon/ports/weights_ledger.hpp"
#include "tests/support/weights_report.hpp"

namespace ebb::test {

class FakeHotload final : public Hotload {
 public:
  struct Engine {
    std::vector<Identity> weights;  ///< empty: base
    std::vector<Snapshot> applying;
    TimePoint applied_at{};
    Identity failed;
    bool paused = false;
  };

  explicit FakeHotload(Clock& clock) : clock_(clock) {}

  HotloadCapabilities can;
  Duration load_time{3'000};
  Duration answer_time{20};  ///< of a signal
  Duration look_time{0};
  std::set<Identity> bad;            ///< whoever loads these fails
  std::vector<Status> next_answers;  ///< taken by the signals to come; with an error the order does not arrive
  std::vector<Status> next_pauses;   ///< taken by the pauses to come; with an error nobody stops
  bool loses_answers = false;        ///< orders arrive, their answers do not
  bool dark = false;
  bool hangs = false;  ///< signals and resumes never come back, though orders arrive
  std::map<ReplicaId, Engine> engines;
  std::vector<LoadOrder> arrived;
  std::vector<std::string> faults;  ///< what no engine should ever be told
  int resumes = 0, resets = 0, fail_resumes = 0, stages = 0, fail_stages = 0;
  Duration stage_time{0}, pause_time{0};

  [[nodiscard]] HotloadCapabilities capabilities() const override { return can; }

  awaitable<Result<HotloadSeen>> look(std::vector<EngineAddress>, TimePoint) override {
    if (look_time.count() > 0) co_await clock_.sleep_until(clock_.now() + look_time);
    if (dark) co_return Error{ErrorCode::unreachable, "dark", true};
    HotloadSeen page;
    for (auto& [name, engine] : engines) {
      work(engine);
      WeightsReport report;
      report.replica = name;
      report.ready = true;
      if (!engine.weights.empty()) report.current = engine.weights.back();
      say_loads(report, engine.applying, engine.failed);
      page.replicas.push_back(report);
    }
    co_return page;
  }

  awaitable<Status> stage(LoadOrder order, std::vector<EngineAddress>, TimePoint) override {
    // Again after a restart is no harm: it is all there.
    if (any_paused() && !staged_.contains(order.id)) faults.push_back("staged while engines stand still");
    co_await clock_.sleep_until(clock_.now() + stage_time);
    if (fail_stages > 0) {
      --fail_stages;
      co_return Error{ErrorCode::unreachable, "no puller", true};
    }
    ++stages;
    staged_.insert(order.id);
    co_return Done();
  }

  awaitable<Status> signal(LoadOrder order, std::vector<EngineAddress>, TimePoint) override {
    co_await clock_.sleep_until(clock_.now() + answer_time / 2);
    if (!next_answers.empty()) {
      const Status said = next_answers.front();
      next_answers.erase(next_answers.begin());
      if (!said.ok()) co_return said;
    }
    arrive(order);
    if (hangs) co_await clock_.sleep_until(TimePoint::max());
    co_await clock_.sleep_until(clock_.now() + answer_time / 2);
    if (loses_answers) co_return Error{ErrorCode::timeout, "no answer", true};
    co_return Done();
  }

  awaitable<Status> pause(LoadOrder, std::vector<EngineAddress> which, TimePoint) override {
    if (!next_pauses.empty()) {
      const Status said = next_pauses.front();
      next_pauses.erase(next_pauses.begin());
      if (!said.ok()) co_return said;
    }
    for (const EngineAddress& engine : which) engines[engine.replica].paused = true;
    co_await clock_.sleep_until(clock_.now() + pause_time + answer_time);
    co_return Done();
  }
  awaitable<Status> resume(std::vector<EngineAddress> which, TimePoint) override {
    co_await clock_.sleep_until(hangs ? TimePoint::max() : clock_.now() + answer_time);
    if (fail_resumes > 0) {
      --fail_resumes;
      co_return Error{ErrorCode::unreachable, "no", true};
    }
    ++resumes;
    for (const EngineAddress& engine : which) engines[engine.replica].paused = false;
    co_return Done();
  }
  awaitable<Status> reset(TimePoint) override {
    ++resets;
    co_return Done();
  }

  [[nodiscard]] bool any_paused() const {
    return std::any_of(engines.begin(), engines.end(), [](const auto& e) { return e.second.paused; });
  }

 private:
  void arrive(const LoadOrder& order) {
    for (const LoadOrder& earlier : arrived) {
      if (earlier.id == order.id) faults.push_back("signalled twice: " + order.id);
    }
    arrived.push_back(order);
    for (const ReplicaId& name : order.replicas) {
      Engine& engine = engines[name];
      if (!engine.applying.empty()) faults.push_back(name.value + " is loading already");
      if (can.pauses && !engine.paused) faults.push_back(name.value + " runs while its weights change");
      Identity held = engine.weights.empty() ? Identity() : engine.weights.back();
      for (const Snapshot& snapshot : order.path) {
        if (!snapshot.full() && snapshot.said.parent != held) faults.push_back(name.value + " lacks the parent");
        held = snapshot.identity();
      }
      engine.applying = order.path;
      engine.applied_at = clock_.now() + load_time;
      engine.failed = Identity();
    }
  }

  void work(Engine& engine) {
    if (engine.applying.empty() || clock_.now() < engine.applied_at) return;
    for (const Snapshot& snapshot : std::exchange(engine.applying, {})) {
      if (bad.contains(snapshot.identity())) {
        engine.failed = snapshot.identity();
        return;
      }
      if (snapshot.full()) engine.weights.clear();
      engine.weights.push_back(snapshot.identity());
    }
  }

  Clock& clock_;
  std::set<std::string> staged_;
};

class FakeVerifier final : public SnapshotVerifier {
 public:
  explicit FakeVerifier(Clock& clock) : clock_(clock) {}
  std::map<Identity, Verdict> says;  ///< others are verified
  int calls = 0;
  std::optional<Snapshot> last_parent;

  awaitable<Verdict> verify(Snapshot snapshot, std::optional<Snapshot> parent, TimePoint) override {
    ++calls;
    last_parent = std::move(parent);
    co_await clock_.sleep_until(clock_.now() + kVerifyTime);
    const auto found = says.find(snapshot.identity());
    if (found != says.end()) co_return found->second;
    Verdict verdict;
    verdict.kind = Verdict::Kind::verified;
    verdict.bytes = snapshot.full() ? 1'000 : 50;
    co_return verdict;
  }

 private:
  static constexpr Duration kVerifyTime{10};
  Clock& clock_;
};

class MemoryWeightsLedger final : public WeightsLedger {
 public:
  std::map<JobId, JobWeights> states;
  std::map<Identity, Snapshot> rows;
  std::vector<LoadNote> notes;
  std::vector<WeightsReset> resets;
  bool down = false;

  awaitable<Status> record_weights(WeightsRecord record) override {
    if (down) co_return Error{ErrorCode::exhausted, "disk full", true};
    states[record.job] = record.state;
    for (const Snapshot& snapshot : record.snapshots) rows[snapshot.identity()] = snapshot;
    notes.insert(notes.end(), record.notes.begin(), record.notes.end());
    if (record.reset) resets.push_back(*record.reset);
    co_return Done();
  }
  awaitable<Result<std::map<JobId, JobWeights>>> recover_weights() override { co_return states; }
  awaitable<Result<Known>> known(JobId, Identity identity, std::string run) override {
    Known out;
    if (const auto at = rows.find(identity); at != rows.end()) out.same = at->second;
    out.run_is_over = std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.second.run == run; });
    co_return out;
  }
  awaitable<Result<std::vector<SnapshotRow>>> snapshots(WeightsPage) override {
    std::vector<SnapshotRow> out;
    for (const auto& [identity, snapshot] : rows) {
      const SnapshotRow row{static_cast<std::int64_t>(out.size()), snapshot};
      out.push_back(row);
    }
    std::sort(out.begin(), out.end(), [](const SnapshotRow& a, const SnapshotRow& b) {
      return a.snapshot.published_at > b.snapshot.published_at;
    });
    co_return out;
  }
  awaitable<Result<std::vector<LoadRow>>> loads(WeightsPage page) override {
    std::vector<LoadRow> out;
    for (std::size_t i = notes.size(); i-- > 0;) {
      if (!page.identity || notes[i].identity == *page.identity)
        out.push_back({static_cast<std::int64_t>(i), notes[i]});
    }
    co_return out;
  }
};

}  // namespace ebb::test
