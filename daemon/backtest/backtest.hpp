// `ebbd backtest`: what policies would have made of a trace, against what a scheduler that knows the future could.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/backtest/simulation.hpp"
#include "daemon/backtest/world.hpp"

namespace ebb::backtest {

struct Comparison {
  std::string trace;
  int seed = 1;
  std::string config_hash;
  World world;
  std::vector<RunResult> runs;
};

/// The service's own policy, then those of backtest.policies; names picks some of them, or built-in policies with
/// default options. Refused for a name that is neither, and for a policy whose signals the model does not know.
Result<std::vector<Contender>> contenders(const Config& config, const std::vector<std::string>& names);

/// All contenders, on as many threads as the machine has; byte-identical for the same arguments. With `progress` a
/// line is kept up to date there once two seconds have passed.
Comparison compared(World world, const std::vector<Contender>& contenders, std::ostream* progress);

/// harvested / oracle; 0 where there was nothing to harvest.
double efficiency(const RunResult& run, const Oracle& oracle);
/// (harvested - wasted) / oracle.
double goodput(const RunResult& run, const Oracle& oracle);

/// An aligned table.
std::string table(const Comparison& comparison);
/// {trace, seed, config_hash, policies: [{name, efficiency, ...}]}; keys are stable.
std::string json(const Comparison& comparison);
/// The chart library that a page carries along: dygraphs, as text.
struct ChartLibrary {
  std::string_view script;
  std::string_view style;
};
/// One page with everything in it: curves that zoom, and the table.
std::string page(const Comparison& comparison, const ChartLibrary& chart);

struct Options {
  std::string config_path;
  std::string trace;  ///< empty: the configuration's
  std::vector<std::string> policies;
  std::string format = "table";  ///< table, json, html
  std::string out;               ///< empty: standard output
  int seed = -1;                 ///< these three: negative is the configuration's
  double bridge = -1;
  double scale_to_peak = -1;
  bool informed = false;  ///< also somebody who has read the trace
  ChartLibrary chart;     ///< for html
};

/// Exit status: 0, 1 (a trace or file that cannot be used) or 2 (a configuration that cannot).
int command(const Options& options, std::ostream& out, std::ostream& err);

}  // namespace ebb::backtest
