// ebbd: parses flags and hands over to a command.
#include <CLI/CLI.hpp>
#include <iostream>

#include "config/load.hpp"
#include "daemon/api/assets.hpp"
#include "daemon/app.hpp"
#include "daemon/backtest/backtest.hpp"
#include "daemon/commands.hpp"
#include "daemon/version.hpp"

namespace {

std::string_view asset(std::string_view path) {
  for (const ebb::Asset& found : ebb::assets()) {
    if (found.path == path) return found.body;
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"ebbd: when production ebbs, RL flows", "ebbd"};
  app.require_subcommand(1);
  int status = 0;

  ebb::RunOptions run;
  auto* run_command = app.add_subcommand("run", "run the daemon");
  run_command->add_option("--config", run.config_path, "configuration file")->default_val("/etc/ebb/ebb.yaml");
  run_command->add_option("--shim", run.shim_path, "path of ebb-shim; default: beside this program");
  run_command->callback([&] { status = ebb::run_daemon(run); });

  std::string file;
  auto* check = app.add_subcommand("check-config",
                                   "say everything that is wrong with a configuration (exit 2) or nothing (exit 0)");
  check->add_option("file", file, "configuration file")->required();
  check->callback([&] { status = ebb::check_config_command(file, std::cout, std::cerr); });

  ebb::ExplainOptions explain;
  auto* why = app.add_subcommand("explain", "why a tick decided what it did, from the ledger's file");
  why->add_option("--db", explain.db, "the ledger's file")->required();
  auto* at = why->add_option("--at", explain.at, "the newest tick at or before this time (ISO 8601, UTC)");
  why->add_option("--tick", explain.tick, "this tick")->excludes(at);
  why->add_flag("--json", explain.json, "the decision as JSON");
  why->callback([&] { status = ebb::explain_command(explain, std::cout, std::cerr); });

  auto* again = app.add_subcommand("replay", "recompute every recorded decision and say which come out otherwise");
  again->add_option("--db", file, "the ledger's file")->required();
  again->callback([&] { status = ebb::replay_command(file, std::cout, std::cerr); });

  ebb::backtest::Options backtest;
  backtest.chart = {asset("/dygraph.min.js"), asset("/dygraph.min.css")};
  auto* past = app.add_subcommand("backtest", "what policies would have made of a trace of production traffic");
  past->add_option("--config", backtest.config_path, "configuration file")->required();
  past->add_option("--trace", backtest.trace, "CSV file; default: backtest.trace, or a synthetic week");
  past->add_option("--policy", backtest.policies,
                   "a name out of backtest.policies, or a built-in policy; default: the service's own and these");
  past->add_option("--format", backtest.format, "table, json or html")
      ->check(CLI::IsMember({"table", "json", "html"}))
      ->capture_default_str();
  past->add_option("--out", backtest.out, "file; default: standard output");
  past->add_option("--seed", backtest.seed, "instead of backtest.seed")->check(CLI::NonNegativeNumber);
  past->add_option("--bridge", backtest.bridge, "instead of backtest.bridge")->check(CLI::Range(0.0, 1.0));
  past->add_option("--scale-to-peak", backtest.scale_to_peak, "instead of backtest.scale_to_peak")
      ->check(CLI::Range(0.0, 100.0));
  past->add_flag("--informed", backtest.informed,
                 "also somebody who knows every row of the trace ahead, and not the noise between: a yardstick");
  past->callback([&] { status = ebb::backtest::command(backtest, std::cout, std::cerr); });

  app.add_subcommand("version", "print the version")->callback([] { std::cout << "ebbd " << ebb::kVersion << "\n"; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& bad) {
    const int code = app.exit(bad);
    return code == 0 ? 0 : 2;
  }
  return status;
}
