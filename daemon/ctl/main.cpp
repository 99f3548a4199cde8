// ebbctl: the operator's client. Speaks HTTP only; knows nothing that the API does not say.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

#include "daemon/ctl/commands.hpp"
#include "daemon/ctl/show.hpp"
#include "daemon/ctl/snapshots.hpp"
#include "daemon/ctl/table.hpp"
#include "daemon/version.hpp"

namespace {

using namespace ebb::ctl;

/// Everything the command line may say.
struct Line {
  std::string url = "http://127.0.0.1:8470";
  std::string token_file;
  bool json = false;
  std::string deployment, phase, at, since, latest, end, unfreeze;
  std::optional<std::uint64_t> tick, before;
  int limit = 20;
  bool changed = false;
  OverrideOptions override_;
  DemandOptions demand;
  PublishOptions publish;
  std::string job, identity, wait_timeout = "10m";
  bool reset = false, prunable = false;
  std::string interval = "2s";
  int count = 0;
};

using Run = std::function<int(Client&, const Output&)>;

std::string query(std::initializer_list<std::pair<const char*, std::string>> params) {
  std::string out;
  for (const auto& [name, value] : params) {
    if (!value.empty()) out += (out.empty() ? "?" : "&") + std::string(name) + "=" + percent_encoded(value);
  }
  return out;
}

std::string number_text(const std::optional<std::uint64_t>& number) { return number ? std::to_string(*number) : ""; }

void add_views(CLI::App& app, Line& line, Run& run) {
  struct View {
    const char* name;
    const char* help;
    const char* path;
    Show show;
  };
  static constexpr std::array kViews{
      View{"pools", "GPUs of each pool: production, RL, reserve, slack", "/v1/pools", show_pools},
      View{"services", "production: traffic, need, replicas", "/v1/services", show_services},
      View{"jobs", "RL jobs: target, replicas, admission, demand", "/v1/jobs", show_jobs},
  };
  for (const View& view : kViews) {
    app.add_subcommand(view.name, view.help)->callback([&run, view] {
      run = [view](Client& client, const Output& output) { return show_command(client, output, view.path, view.show); };
    });
  }
  app.add_subcommand("status", "whether all is well: exit 0, or 5 when it is not")->callback([&run] {
    run = status_command;
  });
  auto* replicas = app.add_subcommand("replicas", "every replica, its phase, slot and address");
  replicas->add_option("--deployment", line.deployment, "only of this deployment, name@pool");
  replicas->add_option("--phase", line.phase, "only in this phase");
  replicas->callback([&] {
    run = [&line](Client& client, const Output& output) {
      const std::string path = "/v1/replicas" + query({{"deployment", line.deployment}, {"phase", line.phase}});
      return show_command(client, output, path, show_replicas);
    };
  });
}

void add_decisions(CLI::App& app, Line& line, Run& run) {
  auto* decisions = app.add_subcommand("decisions", "the newest decisions, one a line");
  decisions->add_option("--limit", line.limit, "how many")->check(CLI::Range(1, 1'000))->capture_default_str();
  decisions->add_option("--before", line.before, "only ticks below this one");
  decisions->add_option("--since", line.since, "only at or after this time (2026-03-01T14:03:20Z)");
  decisions->add_flag("--changed", line.changed, "only those that changed something");
  decisions->callback([&] {
    run = [&line](Client& client, const Output& output) {
      const std::string path = "/v1/decisions" + query({{"limit", std::to_string(line.limit)},
                                                        {"before", number_text(line.before)},
                                                        {"since", line.since},
                                                        {"changed", line.changed ? "1" : ""}});
      return show_command(client, output, path, show_decisions);
    };
  });
  auto* explain = app.add_subcommand("explain", "why a tick decided what it did, in sentences; the newest by default");
  auto* tick = explain->add_option("--tick", line.tick, "this tick");
  auto* at = explain->add_option("--at", line.at, "the newest tick at or before this time (2026-03-01T14:03:20Z)")
                 ->excludes(tick);
  explain->add_option("latest", line.latest, "the newest tick")
      ->check(CLI::IsMember({"latest"}))
      ->excludes(tick)
      ->excludes(at);
  explain->callback([&] {
    run = [&line](Client& client, const Output& output) {
      return show_command(client, output, "/v1/explain" + query({{"tick", number_text(line.tick)}, {"at", line.at}}),
                          show_explanation);
    };
  });
}

void add_override(CLI::App& app, Line& line, Run& run, const char* name, const char* kind, const char* help) {
  auto* command = app.add_subcommand(name, help);
  const bool pins = std::string(kind) == "pin";
  auto* target = command->add_option("target", line.override_.target,
                                     pins ? "deployment, name@pool" : "pool, job or deployment; default: everything");
  if (pins) {
    target->required();
    command->add_option("replicas", line.override_.replicas, "how many")->required()->check(CLI::NonNegativeNumber);
  }
  command->add_option("--reason", line.override_.reason, "why; others will read it")->required();
  command->add_option("--owner", line.override_.owner, "who; default: your user name");
  command->add_option("--ttl", line.override_.ttl, "for how long, like 30m or 2h; then it ends by itself")
      ->capture_default_str();
  command->callback([&line, &run, kind] {
    line.override_.kind = kind;
    run = [&line](Client& client, const Output& output) { return override_command(client, output, line.override_); };
  });
}

void add_writes(CLI::App& app, Line& line, Run& run) {
  add_override(app, line, run, "freeze", "freeze",
               "stop RL from growing and from shrinking by choice; production still gets its GPUs back");
  add_override(app, line, run, "drain", "drain_all", "take RL's replicas away");
  add_override(app, line, run, "pin", "pin", "hold a deployment at a number of replicas; a reclaim still goes below");
  auto* unfreeze = app.add_subcommand("unfreeze", "end freezes");
  unfreeze->add_option("target", line.unfreeze, "only those of this target; default: every one");
  unfreeze->add_option("--owner", line.override_.owner, "who; default: your user name");
  unfreeze->callback([&] {
    run = [&line](Client& client, const Output& output) {
      return unfreeze_command(client, output, line.unfreeze, line.override_.owner);
    };
  });
  auto* overrides = app.add_subcommand("overrides", "freezes, pins and drains in force; --end ends one");
  overrides->add_option("--end", line.end, "end the override with this id");
  overrides->add_option("--owner", line.override_.owner, "who; default: your user name");
  overrides->callback([&] {
    run = [&line](Client& client, const Output& output) {
      if (!line.end.empty()) return end_command(client, output, line.end, line.override_.owner);
      return show_command(client, output, "/v1/overrides", show_overrides);
    };
  });
  auto* demand = app.add_subcommand("demand", "say how much a job can use");
  demand->add_option("job", line.demand.job, "the job")->required();
  auto* amount = demand->add_option_group("amount");
  amount->add_option("--replicas", line.demand.replicas, "in replicas");
  amount->add_option("--rollouts", line.demand.rollouts, "in rollouts in flight");
  amount->require_option(1);
  demand->add_option("--ttl", line.demand.ttl, "for how long, like 30m or 2h")->capture_default_str();
  demand->callback([&] {
    run = [&line](Client& client, const Output& output) { return demand_command(client, output, line.demand); };
  });
}

void add_snapshots(CLI::App& app, Line& line, Run& run) {
  const auto page = [&line](CLI::App* command) {
    command->add_option("job", line.job, "the job")->required();
    command->add_option("--limit", line.limit, "how many")->check(CLI::Range(1, 1'000))->capture_default_str();
    command->add_option("--before", line.before, "only older ones: next_before of the page before");
  };
  const auto path = [&line](const char* what) { return "/v1/jobs/" + percent_encoded(line.job) + what; };
  auto* snapshots = app.add_subcommand("snapshots", "what was published for a job, newest first");
  page(snapshots);
  snapshots->add_flag("--prunable", line.prunable, "only the names of those that no chain needs any more");
  snapshots->callback([&line, &run, path] {
    run = [&line, path](Client& client, const Output& output) {
      const std::string asked =
          path("/snapshots") + query({{"limit", std::to_string(line.limit)}, {"before", number_text(line.before)}});
      return show_command(client, output, asked, line.prunable ? show_prunable : show_snapshots);
    };
  });
  auto* ledger = app.add_subcommand("ledger", "each step of a load, newest first");
  page(ledger);
  ledger->add_option("--identity", line.identity, "only of this snapshot");
  ledger->add_flag("--reset", line.reset, "forget the chain instead: the next snapshot must be full");
  ledger->callback([&line, &run, path] {
    run = [&line, path](Client& client, const Output& output) {
      if (line.reset) return reset_command(client, output, line.job);
      const std::string asked = path("/ledger") + query({{"limit", std::to_string(line.limit)},
                                                         {"before", number_text(line.before)},
                                                         {"identity", line.identity}});
      return show_command(client, output, asked, show_loads);
    };
  });
}

void add_publish(CLI::App& app, Line& line, Run& run) {
  auto* publish = app.add_subcommand("publish", "say that a snapshot is uploaded; it is then loaded everywhere");
  publish->add_option("job", line.publish.job, "the job")->required();
  publish->add_option("identity", line.publish.identity, "its directory in the store")->required();
  publish->add_option("--parent", line.publish.parent, "it is incremental, on top of this one; default: full");
  publish->add_option("--run", line.publish.run, "the training run");
  publish->add_option("--step", line.publish.step, "its step")->check(CLI::NonNegativeNumber);
  publish->add_flag("--wait", line.publish.wait, "until it serves (exit 0) or has failed (exit 1)");
  const auto is_span = [](const std::string& text) {
    return ebb::duration_from(text) ? std::string() : "must be a duration like 90s";
  };
  publish->add_option("--timeout", line.wait_timeout, "of --wait")->check(is_span)->capture_default_str();
  publish->callback([&] {
    run = [&line](Client& client, const Output& output) {
      line.publish.timeout = *ebb::duration_from(line.wait_timeout);
      return publish_command(client, output, line.publish);
    };
  });
}

void add_top(CLI::App& app, Line& line, Run& run) {
  auto* top = app.add_subcommand("top", "a live view");
  const auto is_span = [](const std::string& text) {
    const auto span = ebb::duration_from(text);
    return span && *span >= ebb::Duration{100} ? std::string() : "must be a duration of at least 100ms, like 2s";
  };
  top->add_option("--interval", line.interval, "between two looks")->check(is_span)->capture_default_str();
  top->add_option("--count", line.count, "looks; 0: until Ctrl-C")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  top->callback([&] {
    run = [&line](Client& client, const Output& output) {
      TopOptions options;
      options.interval = *ebb::duration_from(line.interval);
      options.count = line.count;
      if (output.terminal && !output.json) output.out << "\033[2J";
      return top_command(client, output, options);
    };
  });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "ebbctl: asks a running ebbd, and tells it.\n"
      "Exit status: 0 ok, 1 the daemon says no, 2 usage, 3 unreachable, 4 not authorised, 5 unhealthy (status).",
      "ebbctl"};
  Line line;
  Run run;
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", std::string("ebbctl ") + ebb::kVersion);
  app.add_option("--url,--server", line.url, "where ebbd listens")->envname("EBB_URL")->capture_default_str();
  app.add_option("--token-file", line.token_file, "a file that holds the token")->envname("EBB_TOKEN_FILE");
  app.add_flag("--json", line.json, "the API's answer as JSON");
  add_views(app, line, run);
  add_decisions(app, line, run);
  add_writes(app, line, run);
  add_snapshots(app, line, run);
  add_publish(app, line, run);
  add_top(app, line, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& bad) {
    return app.exit(bad) == 0 ? kOk : kUsage;
  }
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  const Output output{std::cout, std::cerr, line.json, wants_colours(terminal, std::getenv("NO_COLOR")), terminal};
  try {
    Client client(line.url, line.token_file);
    return run(client, output);
  } catch (const std::exception& failure) {
    std::cerr << "ebbctl: " << failure.what() << "\n";
    return kRefused;
  }
}
