#include "tests/emulators/trainer/trainer.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/emulators/common/clock.hpp"
#include "tests/emulators/common/log.hpp"
#include "tests/emulators/load/files.hpp"

namespace ebb::emulator {

namespace {

using nlohmann::json;

constexpr double kRollout = 10;
// An increment builds on the newest snapshot; a daemon that came back may have missed the last one or two.
constexpr std::size_t kBasesKept = 4;
constexpr std::size_t kMismatchesKept = 20;

/// The directory that a plan's upload_url names; empty: none that we can write to.
std::string directory_of(const std::string& url) {
  constexpr std::string_view kScheme = "file://";
  return url.starts_with(kScheme) ? url.substr(kScheme.size()) : std::string();
}

}  // namespace

bool StepReport::as_expected() const { return !phase.empty() && (phase == "serving") != damaged && mismatches.empty(); }

json to_json(const StepReport& step) {
  return json{{"step", step.step},
              {"kind", step.kind},
              {"identity", step.identity},
              {"previous_identity", step.previous_identity},
              {"reason", step.reason},
              {"digest", step.digest},
              {"phase", step.phase},
              {"problem", step.problem},
              {"damaged", step.damaged},
              {"bytes", step.bytes},
              {"published_unix", step.published_unix},
              {"write_s", step.write_s},
              {"serving_s", step.serving_s},
              {"checked", step.checked},
              {"away", step.away},
              {"mismatches", step.mismatches},
              {"as_expected", step.as_expected()}};
}

Trainer::Trainer(asio::io_context& io, TrainerConfig config)
    : config_(std::move(config)),
      writer_(config_.shape, config_.encoding, config_.checksum),
      stopping_(io.get_executor()),
      damage_due_(config_.fail_at > 0) {}

Status Trainer::prepare() {
  const auto api = host_port_from(config_.api);
  if (!api) return api.error();
  if (!config_.store.empty() && config_.store.front() != '/') {
    return Error{ErrorCode::invalid, "--store must be an absolute path", false};
  }
  ebb_ = std::make_unique<EbbClient>(*api, config_.job, config_.token, config_.patience_s);
  weights_ = std::make_shared<const Weights>(initial_weights(config_.shape, config_.seed));
  return Done{};
}

void Trainer::stop() {
  stopped_ = true;
  stopping_.notify();
}

awaitable<void> Trainer::run() {
  began_ = monotonic_seconds();
  for (std::int64_t step = 1; step <= config_.steps && !stopped_ && problem_.empty(); ++step) {
    const double began = monotonic_seconds();
    weights_ = std::make_shared<const Weights>(after_step(*weights_, config_.seed, step));
    StepReport made = co_await one_step(step);
    note(std::move(made));
    if (step < config_.steps) co_await until_next(began);
  }
}

awaitable<void> Trainer::until_next(double began) {
  while (!stopped_ && monotonic_seconds() < began + config_.step_s) {
    co_await stopping_.wait(began + config_.step_s - monotonic_seconds());
  }
}

awaitable<StepReport> Trainer::one_step(std::int64_t step) {
  StepReport report;
  report.step = step;
  const auto plan = co_await ebb_->plan(config_.run, step);
  if (!plan) {
    problem_ = report.problem = "plan: " + plan.error().what;
    co_return report;
  }
  report.identity = plan->identity;
  report.previous_identity = plan->previous_identity;
  report.kind = plan->full ? "full" : "incremental";
  report.reason = plan->reason;
  if (const Status done = write(*plan, report); !done) {
    problem_ = report.problem = "write: " + done.error().what;
    co_return report;
  }
  json body{{"identity", plan->identity}, {"kind", report.kind}, {"run", config_.run}, {"step", step}};
  if (!plan->full) body["previous_identity"] = plan->previous_identity;
  const double began = monotonic_seconds();
  report.published_unix = unix_seconds();
  const auto taken = co_await ebb_->publish(std::move(body));
  if (!taken) {
    // A plan that no longer held when it was carried out; a daemon that stays away is another matter.
    report.problem = "publish: " + taken.error().what;
    if (taken.error().code != ErrorCode::conflict) problem_ = report.problem;
    co_return report;
  }
  remember(report);
  const auto ended = co_await ebb_->ended(plan->identity);
  report.serving_s = monotonic_seconds() - began;
  if (!ended) {
    problem_ = report.problem = "wait: " + ended.error().what;
    co_return report;
  }
  report.phase = ended->phase;
  report.problem = ended->reason;
  if (report.phase == "serving") report.problem.clear();
  if (config_.check) co_await check(report);
  co_return report;
}

Status Trainer::write(const PlanAnswer& plan, StepReport& report) {
  const std::string directory =
      config_.store.empty() ? directory_of(plan.upload_url) : config_.store + "/" + plan.identity;
  if (directory.empty()) {
    return Error{ErrorCode::invalid, "this trainer writes to directories only, not to '" + plan.upload_url + "'",
                 false};
  }
  report.digest = digest_of(*weights_);
  const double began = monotonic_seconds();
  Result<std::int64_t> bytes = std::int64_t{0};
  if (plan.full) {
    bytes = writer_.full(directory, *weights_, report.step);
  } else {
    const auto base = written_.find(plan.previous_identity);
    if (base == written_.end() || base->second.weights == nullptr) {
      return Error{ErrorCode::conflict, "asked to build on '" + plan.previous_identity + "', which is not at hand",
                   false};
    }
    report.damaged = damage_due_ && report.step >= config_.fail_at;
    if (report.damaged) damage_due_ = false;
    bytes = writer_.incremental(directory, *weights_, report.step, *base->second.weights, base->second.step,
                                report.damaged);
  }
  if (!bytes) return bytes.error();
  report.bytes = *bytes;
  report.write_s = monotonic_seconds() - began;
  return Done{};
}

void Trainer::remember(const StepReport& report) {
  Written one;
  one.step = report.step;
  one.digest = report.digest;
  one.weights = weights_;
  written_[report.identity] = std::move(one);
  std::vector<std::pair<std::int64_t, Written*>> bases;
  for (auto& [identity, written] : written_) {
    if (written.weights != nullptr) bases.emplace_back(written.step, &written);
  }
  if (bases.size() <= kBasesKept) return;
  std::min_element(bases.begin(), bases.end(), [](auto& a, auto& b) {
    return a.first < b.first;
  })->second->weights.reset();
}

awaitable<void> Trainer::check(StepReport& report) {
  const auto replicas = co_await ebb_->serving();
  if (!replicas) {
    report.mismatches.push_back("the replicas cannot be listed: " + replicas.error().what);
    co_return;
  }
  for (const ServingReplica& replica : *replicas) {
    std::string prompt = fmt::format("step {} asks {}", report.step, replica.id);
    const auto answer = co_await roll_out(replica.at, config_.model, std::move(prompt), kRollout);
    if (!answer && answer.error().code != ErrorCode::malformed && answer.error().code != ErrorCode::invalid) {
      ++report.away;  // between the list and the question it was told to leave
      continue;
    }
    ++report.checked;
    if (!answer) {
      report.mismatches.push_back(replica.id + ": " + answer.error().what);
    } else {
      judge(replica, *answer, report);
    }
  }
}

void Trainer::judge(const ServingReplica& replica, const RolloutAnswer& answer, StepReport& report) const {
  const auto known = written_.find(answer.identity);
  std::string fault;
  if (known == written_.end()) {
    fault = fmt::format("serves '{}', which nobody published", answer.identity);
  } else if (answer.digest != known->second.digest) {
    fault =
        fmt::format("says '{}' with digest {}, written was {}", answer.identity, answer.digest, known->second.digest);
  } else if (report.phase == "serving" && answer.identity != report.identity) {
    fault = fmt::format("serves '{}' when '{}' is the newest", answer.identity, report.identity);
  } else if (report.phase != "serving" && answer.identity == report.identity) {
    fault = fmt::format("serves '{}', which is {}", answer.identity, report.phase);
  }
  if (!fault.empty() && report.mismatches.size() < kMismatchesKept) {
    report.mismatches.push_back(replica.id + ": " + fault);
  }
}

void Trainer::note(StepReport report) {
  const std::string end = report.phase.empty() ? "not published" : report.phase;
  const std::string line = fmt::format(
      "step {:3} {:11} {} {} after {:.2f} s, {} bytes, {} replicas checked, {} wrong{}{}", report.step, report.kind,
      report.identity, end, report.serving_s, report.bytes, report.checked, report.mismatches.size(),
      report.damaged ? ", damaged on purpose" : "", report.problem.empty() ? "" : ": " + report.problem);
  if (config_.tail) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }
  for (const std::string& wrong : report.mismatches) log_line("ebb-trainer", wrong);
  steps_.push_back(std::move(report));
  if (config_.report.empty()) return;
  const Status written = write_atomically(config_.report, this->report().dump(2) + "\n");
  if (!written) log_line("ebb-trainer", written.error().what);
}

json Trainer::report() const {
  json list = json::array();
  json full = json::array();
  std::size_t mismatches = 0;
  int checked = 0;
  double waited = 0;
  for (const StepReport& step : steps_) {
    list.push_back(to_json(step));
    if (step.kind == "full") full.push_back(step.step);
    mismatches += step.mismatches.size();
    checked += step.checked;
    waited += step.serving_s;
  }
  return json{{"seed", config_.seed},
              {"job", config_.job},
              {"run", config_.run},
              {"steps_wanted", config_.steps},
              {"steps", std::move(list)},
              {"full_steps", std::move(full)},
              {"checked", checked},
              {"mismatches", mismatches},
              {"waited_s", waited},
              {"took_s", monotonic_seconds() - began_},
              {"retries", ebb_ == nullptr ? 0 : ebb_->retries()},
              {"problem", problem_},
              {"ok", ok()}};
}

bool Trainer::ok() const {
  return problem_.empty() && steps_.size() == static_cast<std::size_t>(config_.steps) && !(damage_due_) &&
         std::all_of(steps_.begin(), steps_.end(), [](const StepReport& step) { return step.as_expected(); });
}

}  // namespace ebb::emulator
