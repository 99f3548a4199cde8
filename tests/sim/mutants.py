"""Writes broken copies of the daemon's sources for the simulator's mutation test.

usage: mutants.py SOURCE_ROOT OUTPUT_ROOT

Each mutant replaces one piece of one source; M in the replacement is true while that mutant is chosen, at run time. A
piece that is no longer found exactly once is an error: whoever changes that line decides what becomes of its mutant.
The copies are compiled into the test alone; the daemon's own sources hold nothing of this.
"""

import pathlib
import sys

CORE = "daemon/core/"
RUNTIME = "daemon/runtime/"

# name, what the judge says of it, file, what stands there, what the broken build has instead
MUTANTS = [
    ("missing_read_as_zero", "I2: RL grows",
     CORE + "freshness.cpp",
     "    if (sample == nullptr) continue;",
     "    if (M && sample == nullptr) { signal.value = Sample<double>{0, in.now}; continue; }\n"
     "    if (sample == nullptr) continue;"),
    ("stale_read_as_fresh", "I2: RL grows",
     CORE + "freshness.cpp",
     "  if (age > limit) {", "  if (!M && age > limit) {"),
    ("partial_read_as_whole", "I2: RL grows",
     CORE + "freshness.cpp",
     "} else if (workload.reported < workload.expected) {",
     "} else if (!M && workload.reported < workload.expected) {"),
    ("terminating_replicas_not_counted", "I1: RL grows into the reserve",
     CORE + "draft.hpp",
     "return active_gpus + draining_gpus;", "return M ? active_gpus : active_gpus + draining_gpus;"),
    ("starting_replicas_not_counted", "I1: a reclaim is missing",
     CORE + "draft.hpp",
     "[[nodiscard]] Replicas active() const { return serving + starting; }",
     "[[nodiscard]] Replicas active() const { return M ? serving : serving + starting; }"),
    ("lost_replicas_not_counted", "I1: RL grows into the reserve",
     CORE + "reserve.cpp",
     "    books.unusable += mine.counts.lost_gpus;",
     "    if (!M) books.unusable += mine.counts.lost_gpus;"),
    ("victim_drained_twice", "a replica that is leaving is chosen again",
     CORE + "leases.cpp",
     "    const Lease& lease = *ref.lease;\n    if (!is_active(lease.phase)) continue;",
     "    const Lease& lease = *ref.lease;\n"
     "    if (!is_active(lease.phase) && !(M && lease.phase == LeasePhase::draining)) continue;"),
    ("unknown_load_read_as_idle", "least_lost: ",
     CORE + "leases.cpp",
     "      if (load != known.loads->end()) candidate.in_flight = load->second;",
     "      if (M) candidate.in_flight = 0;\n"
     "      if (load != known.loads->end()) candidate.in_flight = load->second;"),
    ("asked_once_what_they_work_on", "least_lost: mostly nobody knows",
     RUNTIME + "observer.cpp",
     "  asking_.erase(source.get());\n  Reading<ReplicaLoads>& kept = loads_[id].said;",
     "  if (!M) asking_.erase(source.get());\n  Reading<ReplicaLoads>& kept = loads_[id].said;"),
    ("old_loads_believed", "least_lost: looks at what nobody says",
     CORE + "leases.cpp",
     "if (in.now - sample->taken_at > in.config.stale_after) return {nullptr, \"stale\"};",
     "if (!M && in.now - sample->taken_at > in.config.stale_after) return {nullptr, \"stale\"};"),
    ("blindness_forgotten", "I2: RL grows",
     CORE + "need.cpp",
     "draft.pools[site.pool].blind = true;", "if (!M) draft.pools[site.pool].blind = true;"),
    ("blind_for_ever_keeps_what_it_has", "I1: a reclaim is missing",
     CORE + "need.cpp",
     "if (blind && kept <= site.deployment->max)", "if (!M && blind && kept <= site.deployment->max)"),
    ("production_shrinks_unseen", "while its load is unknown",
     CORE + "need.cpp",
     "const Replicas kept = std::max({floor, memory.last_need, draft.of(site).held});",
     "const Replicas kept = M ? floor : std::max({floor, memory.last_need, draft.of(site).held});"),
    ("freeze_holds_productions_growth", "production is not started",
     CORE + "guardrails.cpp",
     "  if (target >= current) return;\n", "  if (M ? target == current : target >= current) return;\n"),
    ("no_warm_up", "RL grows while the daemon warms up",
     CORE + "guardrails.cpp",
     "draft.state.started_at + warming; in.now < until) {", "draft.state.started_at + warming; !M && in.now < until) {"),
    ("grows_at_once", "RL grows by",
     CORE + "guardrails.cpp",
     "growth.current + growth.site.job->grow_step, ",
     "growth.current + (M ? growth.wanted : growth.site.job->grow_step), "),
    ("owners_wish_ignored", "I1: a reclaim is missing",
     CORE + "need.cpp",
     "workload.asked.value() > need) {", "workload.asked.value() > need && !M) {"),
    ("headroom_ignored", "I1: RL grows into the reserve",
     CORE + "reserve.cpp",
     "books.reserve = kept + pool.config->headroom;", "books.reserve = M ? kept : kept + pool.config->headroom;"),
    ("freeze_ignored", "RL grows while it is frozen",
     CORE + "guardrails.cpp",
     "override_for(draft, growth.site, OverrideKind::freeze); freeze != nullptr) {",
     "override_for(draft, growth.site, OverrideKind::freeze); !M && freeze != nullptr) {"),
    ("slow_start_replaced_past_the_guardrails", "RL grows ",
     CORE + "leases.cpp",
     "if (site.job != nullptr) mine.target = std::min", "if (!M && site.job != nullptr) mine.target = std::min"),
    ("drains_never_turn_hard", "a drain does not turn hard",
     CORE + "leases.cpp",
     "if (!lease.evicted && in.now >= lease.drain_deadline) {",
     "if (!M && !lease.evicted && in.now >= lease.drain_deadline) {"),
    ("slow_starts_kept", "a replica that does not become ready is kept",
     CORE + "leases.cpp",
     "waited <= site.deployment->start_timeout) continue;",
     "waited <= site.deployment->start_timeout || M) continue;"),
    ("second_start_while_one_is_unanswered", "while another is not answered",
     CORE + "diff.cpp",
     "if (in.seen.busy.contains(id)) return", "if (!M && in.seen.busy.contains(id)) return"),
    ("unreadable_fleet_read_as_empty", "I3: starts beyond the free GPUs",
     RUNTIME + "observer.cpp",
     "  if (view.ok()) {\n    Sample<FleetSeen> sample;\n    sample.value = std::move(view.value());",
     "  if (view.ok() || M) {\n    Sample<FleetSeen> sample;\n    if (view.ok()) sample.value = std::move(view.value());"),
    ("done_although_not_recorded", "I9: done before it was recorded",
     RUNTIME + "control_loop.cpp",
     "if (!written.ok()) decision = only_shrinking", "if (!M && !written.ok()) decision = only_shrinking"),
    ("outcomes_recorded_after_who_knows_them", "and the ledger does not",
     RUNTIME + "control_loop.cpp",
     "  Status written = co_await record_outcomes();\n",
     "  Status written = Done{};\n  if (!M) written = co_await record_outcomes();\n"),
    ("leases_not_renewed", "I11: a lease lapsed",
     RUNTIME + "control_loop.cpp",
     "if (now - renewed_at_ < every && renewed_at_ != TimePoint{}) co_return;",
     "if (M || (now - renewed_at_ < every && renewed_at_ != TimePoint{})) co_return;"),
    ("premise_not_looked_at_again", "I4: a start of a replica that exists",
     RUNTIME + "actuator.cpp",
     "if (action.kind != ActionKind::start) co_return action;",
     "if (M || action.kind != ActionKind::start) co_return action;"),
    ("outcomes_not_taken_in", "liveness: actions without an outcome",
     RUNTIME + "control_loop.cpp",
     "    unrecorded_.push_back(finished.outcome);", "    if (!M) unrecorded_.push_back(finished.outcome);"),
    ("restart_begins_anew", "I9: a restart does not find",
     RUNTIME + "ledger_read.cpp",
     "Result<Recovered> read_recovered(Database& db) {",
     "Result<Recovered> read_recovered(Database& db) {\n  if (M) return Recovered{};"),
    ("changes_since_the_whole_state_lost", "I9: a restart does not find",
     RUNTIME + "ledger_read.cpp",
     "  out.state = std::move(*newest);\n", "  if (!M) out.state = std::move(*newest);\n"),
    ("outcomes_lost_in_a_crash", "I9: a restart does not find",
     RUNTIME + "ledger_read.cpp",
     "  for (const ActionRow& row : *ended) out.state",
     "  for (const ActionRow& row : M ? std::vector<ActionRow>() : *ended) out.state"),
    ("unfinished_actions_lost_in_a_crash", "which has no outcome",
     RUNTIME + "ledger_read.cpp",
     "  out.unfinished = std::move(*unfinished);", "  if (!M) out.unfinished = std::move(*unfinished);"),
    ("overrides_lost_in_a_crash", "the override",
     RUNTIME + "ledger_read.cpp",
     "  for (const Event& event : *events) out.state",
     "  for (const Event& event : M ? std::vector<Event>() : *events) out.state"),
    ("records_not_synced", "a restart",
     RUNTIME + "ledger_schema.cpp",
     '      "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"\n',
     '      M ? "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF" :\n'
     '      "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"\n'),
    ("one_ready_is_enough", "ready_fraction: ",
     CORE + "hotload.cpp",
     "    const int needed = std::max(1, static", "    const int needed = M ? 1 : std::max(1, static"),
    ("waves_not_limited", "max_unavailable: ",
     CORE + "hotload_orders.cpp",
     "return serves(name) && left-- <= 0; });", "return !M && serves(name) && left-- <= 0; });"),
    ("parent_not_checked", "which is not the newest",
     CORE + "chain.cpp",
     "  if (said.parent == last->identity()) return std::nullopt;",
     "  if (M || said.parent == last->identity()) return std::nullopt;"),
    ("incremental_after_a_failed_one", "is incremental where a full one was due",
     CORE + "chain.cpp",
     "if (index >= chain.waiting.size()) {", "if (!M && index >= chain.waiting.size()) {"),
    ("chain_limit_ignored", "on top of a full one",
     CORE + "chain.cpp",
     "if (since_full(chain) >= rules.incrementals_max) {", "if (!M && since_full(chain) >= rules.incrementals_max) {"),
    ("links_left_out_of_the_way", "' and not ",
     CORE + "chain.cpp",
     "  if (!target->full() || !waits) path = chain.links;", "  if (!M && (!target->full() || !waits)) path = chain.links;"),
    ("signalled_before_it_was_verified", "a snapshot that is not whole is signalled",
     CORE + "chain.cpp",
     "if (front.phase == SnapshotPhase::verified || ", "if (M || front.phase == SnapshotPhase::verified || "),
    ("newcomers_counted_as_current", "counts as current with",
     CORE + "hotload.cpp",
     "  return whole && replica.ready && behind && *behind <= config.max_versions_behind;",
     "  return replica.ready && (M || (whole && behind && *behind <= config.max_versions_behind));"),
    ("replicas_that_are_not_ready_counted_as_current", "counts as current with",
     CORE + "hotload.cpp",
     "  replica.ready = report.ready;\n", "  replica.ready = M || report.ready;\n"),
    ("draining_replicas_told_to_load", "I7: a replica that leaves is told to load",
     CORE + "hotload.cpp",
     "const bool leaves = in.seen.leaving.contains(at->first);",
     "const bool leaves = !M && in.seen.leaving.contains(at->first);"),
    ("errors_of_failed_replicas_forgotten", "counts as current after a load that broke off",
     CORE + "hotload.cpp",
     "if (told != Told::no && report.stage == LoadStage::error && ",
     "if (!M && told != Told::no && report.stage == LoadStage::error && "),
    ("paused_engines_forgotten_after_a_crash", "is paused, and the ledger does not know it",
     CORE + "hotload_loads.cpp",
     "  for (auto& [id, deployment] : draft.state.deployments) {\n    move_load(draft, id, deployment.load, ",
     "  for (auto& [id, deployment] : draft.state.deployments) {\n    if (M) deployment.paused.clear();\n"
     "    move_load(draft, id, deployment.load, "),
    ("one_order_upon_another", "two orders at once",
     CORE + "hotload_orders.cpp",
     "if (is_loading(deployment) || ", "if ((!M && is_loading(deployment)) || "),
    ("loads_not_held_by_growth", "while a start is not answered",
     CORE + "hotload_orders.cpp",
     "|| in.seen.growing.contains(id)) continue;", "|| (!M && in.seen.growing.contains(id))) continue;"),
    ("growth_not_held_by_loads", "I7: growth while",
     RUNTIME + "snapshot_steps.cpp",
     "if (is_loading(deployment)) out.loading.insert(id);", "if (!M && is_loading(deployment)) out.loading.insert(id);"),
    ("signalled_before_it_was_recorded", "is signalled, and the ledger does not know it",
     RUNTIME + "snapshot_job.cpp",
     "const bool recorded = co_await record();", "const bool recorded = M || co_await record();"),
    ("signalled_while_engines_run", "weights change under an engine that runs",
     RUNTIME + "snapshot_job.cpp",
     "  if (done.ok()) {\n    const DeploymentId deployment = order.deployment;\n    signalling_",
     "  if (M || done.ok()) {\n    const DeploymentId deployment = order.deployment;\n    signalling_"),
    ("leavers_signalled_after_the_pause", "is signalled, and the ledger does not know it",
     RUNTIME + "snapshot_job.cpp",
     "if (pauses && done.ok() && !still_wanted(order, engines)) co_return",
     "if (!M && pauses && done.ok() && !still_wanted(order, engines)) co_return"),
    ("name_of_broken_weights_believed", "counts as current after a load that broke off",
     CORE + "hotload.cpp",
     "return report.stage == LoadStage::error && !fleet.keeps_old_on_error;",
     "return !M && report.stage == LoadStage::error && !fleet.keeps_old_on_error;"),
    ("restart_forgets_the_weights", "I9: the snapshot",
     RUNTIME + "snapshot_coordinator.cpp",
     "  recovered_ = std::move(*before);", "  if (!M) recovered_ = std::move(*before);"),
    ("lost_weights_not_noticed", "I8: room for",
     CORE + "snapshots.cpp",
     "if (ref.lease->phase == LeasePhase::serving && !has && ",
     "if (!M && ref.lease->phase == LeasePhase::serving && !has && "),
]


def main() -> None:
    source, output = (pathlib.Path(argument) for argument in sys.argv[1:3])
    for file in sorted({mutant[2] for mutant in MUTANTS}):
        text = (source / file).read_text()
        for number, (name, _, where, old, new) in enumerate(MUTANTS, 1):
            if where != file:
                continue
            if text.count(old) != 1:
                sys.exit(f"mutants.py: '{name}': its piece stands {text.count(old)} times in {file}:\n{old}")
            begin = text.index(old)
            text = text[:begin] + broken(new, number) + text[begin + len(old):]
        if file.endswith(".hpp"):
            text = text.replace("#pragma once\n", "#pragma once\n#include \"tests/sim/mutant.hpp\"\n", 1)
        else:
            text = "#include \"tests/sim/mutant.hpp\"\n" + text
        write(output / file, text)
    mutants = ",\n    ".join(f'{{"{name}", "{said}"}}' for name, said, *_ in MUTANTS)
    write(output / "tests/sim/mutants.inc", f"    {mutants}\n")


def broken(text: str, number: int) -> str:
    call = f"::ebb::sim::mutant({number})"
    out, word = [], ""
    for character in text + "\0":
        if character.isalnum() or character == "_":
            word += character
            continue
        out.append(call if word == "M" else word)
        out.append(character)
        word = ""
    return "".join(out)[:-1]


def write(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


if __name__ == "__main__":
    main()
