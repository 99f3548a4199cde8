#include "daemon/model/explanation.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

namespace ebb {
namespace {

struct Sentence {
  std::string_view rule;
  std::string_view text;  // {name} is an argument, {subject} the subject
};

// One line per rule. The ids are part of the API; the sentences are for people and may be improved.
constexpr std::array kSentences{
    Sentence{"freshness.ok", "every source and fleet reported"},
    Sentence{"freshness.missing", "{subject}: '{signal}' is unknown ({why}); RL may shrink but not grow in its pool"},
    Sentence{"freshness.ahead", "{subject}: '{signal}' is dated {age} ahead, more than {limit}: treated as unknown"},
    Sentence{"freshness.stale", "{subject}: '{signal}' is {age} old, more than {limit}: treated as unknown"},
    Sentence{"freshness.blind",
             "{subject}: unknown for {span}, longer than {limit}: taken to need its maximum of {max} replicas"},
    Sentence{"freshness.fleet", "fleet {subject} cannot be read ({why}): its last count is held, nothing grows on it"},
    Sentence{"need.fixed", "{subject}: fixed need of {need} replicas"},
    Sentence{"need.target_tracking",
             "{subject}: {signal} is {value}, at {target} per replica that needs {need} replicas"},
    Sentence{
        "need.within_tolerance",
        "{subject}: {need} replicas would do, but the load per replica is within {tolerance_percent}% of its target: "
        "stays at {kept}"},
    Sentence{"need.at_least", "{subject}: {signal} is only partly known, but at least {value}: needs at least {need}"},
    Sentence{"need.stabilised",
             "{subject}: {need} replicas would do now, but {kept} were needed within the last {window}"},
    Sentence{"need.headroom",
             "{subject}: with {headroom_percent}% headroom a load of {load} replicas needs {need} replicas"},
    Sentence{"need.schedule", "{subject}: {need} replicas by the clock ({window}, {time_zone})"},
    Sentence{
        "need.calm",
        "{subject}: the mean load of {window} needs {calm} replicas ({surge} for the last moments, {ready} ready): "
        "{need}"},
    Sentence{"need.panic",
             "{subject}: panic, the last moments need {surge} replicas ({calm} over {window}, {ready} ready): {need}, "
             "and no fewer until it is over"},
    Sentence{"need.inactive", "{subject}: not active for {span}: {need} replicas"},
    Sentence{"need.minimum", "{subject}: {need} replicas, the policy's minimum is {kept}"},
    Sentence{"need.cooldown",
             "{subject}: {need} replicas would do, but it was active within the last {window}: keeps {kept}"},
    Sentence{"need.predicted",
             "{subject}: {predictor} forecast of {prediction} replicas of load for this {interval}, {load} now, "
             "{headroom_percent}% headroom: {need} replicas"},
    Sentence{"need.conformal",
             "{subject}: at most {location} replicas of load within the last {window}, which may rise by {margin} "
             "within {horizon} ({expert}, budget {budget_percent}%): {need} replicas"},
    Sentence{"need.missed", "{subject}: {missed_percent}% of {horizons} horizons missed so far"},
    Sentence{"need.seasonal",
             "{subject}: up to {forecast} replicas of load within {lead} at {level_percent}% of what is usual, {load} "
             "now, {headroom_percent}% headroom: {need} replicas"},
    Sentence{"need.unlearnt",
             "{subject}: this time of the period was never seen; {load} replicas of load now, {headroom_percent}% "
             "headroom: {need} replicas"},
    Sentence{"need.max_of", "{subject}: {need} replicas, the largest of {count} policies ({policy})"},
    Sentence{"need.advised", "{subject}: {policy} advises {advised} ({note}): {need} replicas"},
    Sentence{"need.advice_held", "{subject}: {need} replicas, keeps the {kept} that were advised within {window}"},
    Sentence{"need.unadvised", "{subject}: {policy} gave no advice ({why}): {fallback} decides"},
    Sentence{"need.asked", "{subject}: its owner asks for {asked} replicas, more than the {need} computed"},
    Sentence{"need.bounds", "{subject}: {need} replicas brought within its bounds {min} to {max}: {kept}"},
    Sentence{"need.unknown",
             "{subject}: not known, so it keeps {need} replicas: what it last needed, what it holds or what is known"},
    Sentence{"need.one_that_reports", "{subject}: one replica stays, or nobody would report what it has to do"},
    Sentence{"need.pinned", "{subject}: pinned at {need} replicas by {owner} until {until} ({reason})"},
    Sentence{
        "reserve.pool",
        "{subject}: production keeps {reserve} of {gpus} GPUs ({need} needed, {headroom} headroom, {held} held now)"},
    Sentence{"reserve.unusable", "{subject}: {count} GPUs cannot be used (lost or foreign) and count as taken"},
    Sentence{"reserve.short", "{subject}: production needs {need} GPUs, more than the pool's {gpus}"},
    Sentence{"allocate.pool", "{subject}: {slack} GPUs of slack shared between {jobs} jobs"},
    Sentence{
        "allocate.stays",
        "{subject}: of {wanted} replicas wanted {there} are in other pools and stay there: {kept} are left for this"},
    Sentence{"allocate.job",
             "{subject}: may have {target} replicas ({cap} wanted, guarantee {guarantee}, weight {weight})"},
    Sentence{"allocate.priority", "{subject}: priority {priority}"},
    Sentence{"allocate.demand", "{subject}: wants {replicas} replicas ({source})"},
    Sentence{"allocate.demand_unknown", "{subject}: demand is unknown ({why}): keeps what it has, {replicas} replicas"},
    Sentence{"guardrails.blind", "{subject}: {wanted} lowered to {kept}: something in the pool is unknown"},
    Sentence{"guardrails.dark", "{subject}: {wanted} becomes {kept}: its fleet cannot be read, so its count is held"},
    Sentence{"guardrails.warm_up",
             "{subject}: {wanted} lowered to {kept}: no growth until {until}, warming up after the start"},
    Sentence{"guardrails.quiet",
             "{subject}: {wanted} lowered to {kept}: within the last {window} there were only {slack} GPUs of slack"},
    Sentence{"guardrails.growth",
             "{subject}: {wanted} lowered to {kept}: its pool's growth policy holds the rest of the slack back"},
    Sentence{"growth.survival",
             "{subject}: of {slack} GPUs of slack {kept} may be lent; the next has been free for {age} and lasts "
             "another {cost}, a start and a drain, with probability {chance}, below {confidence}"},
    Sentence{"guardrails.frozen", "{subject}: {wanted} lowered to {kept}: frozen by {owner} until {until} ({reason})"},
    Sentence{"guardrails.pinned", "{subject}: {wanted} becomes {kept}: pinned by {owner} until {until} ({reason})"},
    Sentence{"guardrails.drain_all", "{subject}: {wanted} becomes 0: drained by {owner} until {until} ({reason})"},
    Sentence{"guardrails.reclaim_cooldown",
             "{subject}: {wanted} lowered to {kept}: held until {until}, {span} after a reclaim"},
    Sentence{"guardrails.grow_cooldown",
             "{subject}: {wanted} lowered to {kept}: held until {until}, {span} after growing"},
    Sentence{"guardrails.step", "{subject}: {wanted} lowered to {kept}: grows by at most {step} a tick"},
    Sentence{"guardrails.backoff",
             "{subject}: {wanted} lowered to {kept}: {failures} replicas ended unasked in a row, next try at {until}"},
    Sentence{"guardrails.max", "{subject}: {wanted} lowered to {kept}: the deployment's maximum"},
    Sentence{"leases.reclaim", "{subject}: {count} replicas drain, until {until} at the latest: {why}"},
    Sentence{"leases.victim", "{subject} leaves ({phase}, since {since})"},
    Sentence{"leases.victim_working", "{subject} leaves ({phase}, since {since}, {in_flight} rollouts in flight)"},
    Sentence{"leases.load_unknown", "{subject}: of {count} serving replicas nobody knows what they work on: {why}"},
    Sentence{"leases.adopted", "{subject}: found running ({phase}) and taken on"},
    Sentence{"leases.released", "{subject}: gone, {gpus} GPUs free ({detail})"},
    Sentence{"leases.failed", "{subject}: ended unasked ({detail}); {failures} in a row"},
    Sentence{"leases.start_timeout", "{subject}: not ready after {span}: ended"},
    Sentence{"leases.never_started", "{subject}: was to be started {span} ago and never appeared: given up"},
    Sentence{"leases.overdue", "{subject}: should have left by {deadline}: evicted"},
    Sentence{"leases.hastened",
             "{subject}: evicted without a drain: production waits for {waited} GPUs, this frees {gpus}"},
    Sentence{"leases.lost",
             "{subject}: will not go; its {gpus} GPUs stay counted and are not lent until they are seen free"},
    Sentence{"leases.unhealthy", "{subject}: does not answer since {since}"},
    Sentence{"leases.orphan", "{subject}: belongs to no configured deployment; its {gpus} GPUs count as taken"},
    Sentence{"snapshots.current", "{subject}: ready, and serves at once (no snapshot chain is configured)"},
    Sentence{"snapshots.loaded", "{subject}: has the weights it should have, and serves"},
    Sentence{"snapshots.stale", "{subject}: no longer has the weights it should have, and serves nobody until it does"},
    Sentence{"snapshots.syncing", "{subject}: ready since {since}, and waits for its weights"},
    Sentence{"snapshots.phase", "{subject} is {phase} {why}"},
    Sentence{"snapshots.order", "{subject}: {count} replicas are to load {identity} ({links} snapshots)"},
    Sentence{"snapshots.load_ended", "{subject}: the load of {identity} ended after {span}, {failed} failed {why}"},
    Sentence{"snapshots.waits_for_full", "{subject} waits for the next full snapshot: sooner than catching up"},
    Sentence{"admission.limit", "{subject}: {serving} serving replicas x {each} = {limit} rollouts in flight"},
    Sentence{"diff.nothing", "nothing to do"},
    Sentence{"diff.start", "{subject}: start {count} replicas"},
    Sentence{"diff.drain", "{subject}: drain {count} replicas"},
    Sentence{"diff.evict", "{subject}: evict {count} replicas"},
    Sentence{"diff.waits", "{subject}: {wanted} replicas wait to be started: {why}"},
    Sentence{"diff.no_room", "{subject}: {wanted} replicas wait for free GPUs ({free} free now)"},
    Sentence{"diff.limited", "{count} starts are left for the next tick: at most {limit} in one plan"},
    Sentence{"check.ok", "all invariants hold"},
    Sentence{"check.rl_above_slack",
             "{subject}: RL holds {rl} GPUs with {slack} of slack; {leaving} of them are on their way out"},
    Sentence{"check.reclaim_overdue",
             "{subject}: a reclaim is past its bound; evicted replicas still hold {gpus} GPUs"},
    Sentence{"check.cut", "{subject}: action cut from the plan: {why}"},
};

std::string number(double value) {
  std::array<char, 32> buffer{};
  // Three decimals say enough for people; the exact value is in the data.
  const double rounded = std::round(value * 1000) / 1000;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), rounded);
  return error == std::errc{} ? std::string(buffer.data(), end) : "?";
}

std::string text_of(const Arg& arg) {
  struct Render {
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return number(v); }
    std::string operator()(const std::string& v) const { return v; }
    std::string operator()(Duration v) const { return to_text(v); }
    std::string operator()(TimePoint v) const { return to_iso(v); }
  };
  return std::visit(Render{}, arg);
}

std::string argument(const Step& step, std::string_view name) {
  if (name == "subject") return step.subject;
  for (const auto& [key, value] : step.args) {
    if (key == name) return text_of(value);
  }
  return "{" + std::string(name) + "}";
}

}  // namespace

std::string to_sentence(const Step& step) {
  for (const Sentence& sentence : kSentences) {
    if (sentence.rule != step.rule) continue;
    std::string out;
    std::string_view rest = sentence.text;
    for (auto open = rest.find('{'); open != std::string_view::npos; open = rest.find('{')) {
      const auto close = rest.find('}', open);
      out += rest.substr(0, open);
      out += argument(step, rest.substr(open + 1, close - open - 1));
      rest.remove_prefix(close + 1);
    }
    return out += rest;
  }
  std::string out = step.subject.empty() ? step.rule + ":" : step.subject + ": " + step.rule + ":";
  for (const auto& [key, value] : step.args) out += " " + key + "=" + text_of(value);
  return out;
}

const char* to_string(Stage stage) {
  switch (stage) {
    case Stage::freshness: return "freshness";
    case Stage::need: return "need";
    case Stage::reserve: return "reserve";
    case Stage::allocate: return "allocate";
    case Stage::guardrails: return "guardrails";
    case Stage::leases: return "leases";
    case Stage::snapshots: return "snapshots";
    case Stage::admission: return "admission";
    case Stage::diff: return "diff";
    case Stage::check: return "check";
  }
  return "unknown";
}

}  // namespace ebb
