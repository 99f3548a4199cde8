// What the ledger writes: bytes a day and time a tick, for 1,000 deployments and 10,000 replicas whose load moves.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <random>
#include <vector>

#include "daemon/runtime/ledger_schema.hpp"
#include "daemon/runtime/ledger_weights.hpp"
#include "daemon/runtime/ledger_write.hpp"
#include "policies/victim/least_lost.hpp"
#include "tests/bench/fleetful.hpp"

namespace ebb::testing {
namespace {

constexpr int kTicks = 300;
constexpr int kTicksADay = 24 * 3'600 / 5;

/// Production's load walks by some percent a tick; the fleets do at once what the plan says.
void next_tick(Fleetful& fleet, const Plan& plan, std::mt19937& random) {
  fleet.now += Duration{5'000};
  fleet.seen.at = fleet.now;
  std::normal_distribution<double> step(0, 0.02);
  for (auto& [id, workload] : fleet.seen.workloads) {
    Sample<double>& load = *workload.signals["in_flight"].value.sample();
    load.value = std::clamp(load.value * (1 + step(random)), 8.0, 200.0);
    load.taken_at = fleet.now;
  }
  for (auto& [id, view] : fleet.seen.fleets) view.sample()->taken_at = fleet.now;
  std::uniform_int_distribution<int> rollouts(0, 32);
  for (auto& [id, loads] : fleet.seen.loads) loads = Sample<ReplicaLoads>{{}, fleet.now};
  for (const auto& [id, lease] : fleet.state.leases) {
    const auto loads = fleet.seen.loads.find(lease.deployment);
    if (loads != fleet.seen.loads.end()) loads->second.sample()->value[id] = rollouts(random);
  }
  for (const Action& action : plan.actions) {
    std::vector<ReplicaSeen>& replicas = fleet.seen.fleets.at(action.fleet).sample()->value.replicas;
    for (const ReplicaId& id : action.replicas) {
      std::erase_if(replicas, [&](const ReplicaSeen& one) { return one.id == id; });
      if (action.kind == ActionKind::start) {
        replicas.push_back(replica(id.value, action.deployment, ReplicaPhase::ready));
      }
    }
    std::sort(replicas.begin(), replicas.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  }
}

double megabytes(Database& db, const char* sql) { return static_cast<double>(db.number(sql).value()) / 1e6; }

/// Every job's victims are who works on the fewest rollouts, and every replica says on how many it works.
void look_at_loads(Fleetful& fleet) {
  for (JobConfig& job : fleet.config.jobs) {
    job.victim = std::make_shared<LeastLostVictim>();
    fleet.seen.loads[job.deployments[0].id] = Missing{"not asked yet", fleet.now};
  }
}

int measure(const std::string& path, bool with_loads) {
  auto opened = Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX);
  if (!opened.ok()) return std::fprintf(stderr, "%s\n", opened.error().what.c_str()), 1;
  Database& db = **opened;
  if (Status ready = prepare_ledger_file(db, path); !ready.ok())
    return std::fprintf(stderr, "%s\n", ready.error().what.c_str()), 1;
  Fleetful fleet = fleet_of(100, 10, 10);
  if (with_loads) look_at_loads(fleet);
  std::mt19937 random(1);
  TickWriter writer("bench");
  std::chrono::steady_clock::duration spent{0};
  std::size_t actions = 0;
  for (int tick = 0; tick < kTicks; ++tick) {
    const Decision decision = decide(fleet.seen, fleet.state, fleet.config, fleet.now);
    actions += decision.plan.actions.size();
    const auto began = std::chrono::steady_clock::now();
    if (Status done = writer.write(db, {fleet.seen, fleet.state, decision, nullptr}); !done.ok())
      return std::fprintf(stderr, "%s\n", done.error().what.c_str()), 1;
    spent += std::chrono::steady_clock::now() - began;
    fleet.state = decision.next;
    next_tick(fleet, decision.plan, random);
  }
  constexpr double kDays = static_cast<double>(kTicks) / kTicksADay;
  std::printf("%d ticks, %zu replicas at the end, %zu actions%s\n", kTicks, fleet.state.leases.size(), actions,
              with_loads ? ", victims by what they work on" : "");
  std::printf(
      "a day: decisions %.0f MB, what they were made from %.0f MB (kept whole: %.0f MB)\n",
      megabytes(db, "SELECT sum(length(decision)) FROM decisions") / kDays,
      megabytes(db, "SELECT sum(length(observation) + length(state_before) + length(state)) FROM inputs") / kDays,
      megabytes(db,
                "SELECT avg(length(observation) + length(state_before) + length(state)) FROM inputs "
                "WHERE base IS NULL") *
          kTicksADay);
  std::printf("a tick: %.1f ms to write\n", std::chrono::duration<double, std::milli>(spent).count() / kTicks);
  return 0;
}

/// The newest page of a job's loads, out of a million rows of three jobs.
int measure_page(const std::string& path) {
  auto opened = Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX);
  if (!opened.ok()) return std::fprintf(stderr, "%s\n", opened.error().what.c_str()), 1;
  Database& db = **opened;
  if (Status ready = prepare_ledger_file(db, path); !ready.ok())
    return std::fprintf(stderr, "%s\n", ready.error().what.c_str()), 1;
  const Status filled = db.run(
      "PRAGMA synchronous = OFF; BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
      "1000000) INSERT INTO loads(job, at_ms, order_id, deployment, replica, identity, what, detail) "
      "SELECT CASE i % 3 WHEN 0 THEN 'rl' ELSE 'other' END, i, 'o', 'd', 'r' || (i % 200), 's' || (i / 400), "
      "'serving', '' FROM n; COMMIT");
  if (!filled.ok()) return std::fprintf(stderr, "%s\n", filled.error().what.c_str()), 1;
  std::vector<double> took_ms;
  for (int i = 0; i < 100; ++i) {
    const auto began = std::chrono::steady_clock::now();
    const auto rows = read_loads(db, WeightsPage(JobId("rl")));
    took_ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
    if (!rows.ok() || rows->size() != 50) return std::fprintf(stderr, "the page is not whole\n"), 1;
  }
  std::sort(took_ms.begin(), took_ms.end());
  std::printf("newest page of 1,000,000 rows: median %.2f ms, worst %.2f ms\n", took_ms[50], took_ms.back());
  return 0;
}

}  // namespace
}  // namespace ebb::testing

int main() {
  std::string dir = (std::filesystem::temp_directory_path() / "ebb-bench-XXXXXX").string();
  if (::mkdtemp(dir.data()) == nullptr) return 1;
  const int status =
      std::max({ebb::testing::measure(dir + "/ebb.db", false), ebb::testing::measure(dir + "/loads.db", true),
                ebb::testing::measure_page(dir + "/rows.db")});
  std::filesystem::remove_all(dir);
  return status;
}
