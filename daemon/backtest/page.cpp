// The comparison as one page that needs nothing else: the chart library is the status page's, written into it.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "daemon/backtest/backtest.hpp"
#include "daemon/model/json_text.hpp"

namespace ebb::backtest {
namespace {

// Points a curve is drawn with. A fortnight of 5 s ticks has 240,000; of each bucket the page gets the extremes, so
// that no spike is averaged away.
constexpr std::size_t kPoints = 6'000;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

/// [hours, wanted, reserve, serving, the oracle's serving]; of each bucket the ticks where wanted, reserve and serving
/// are largest and smallest, so that no spike of theirs is averaged away.
nlohmann::json curve_of(const World& world, const RunResult& run) {
  nlohmann::json rows = nlohmann::json::array();
  const std::size_t ticks = world.wanted.size();
  const std::size_t bucket = std::max<std::size_t>(1, 4 * ticks / kPoints);
  const double hours = static_cast<double>(world.config.tick.count()) / 3'600'000;
  const int each = world.production().gpus_per_replica.count;
  for (std::size_t from = 0; from < ticks; from += bucket) {
    std::set<std::size_t> kept;
    const auto keep_ends_of = [&](const auto& curve) {
      const auto begin = curve.begin() + static_cast<std::ptrdiff_t>(from);
      const auto end = curve.begin() + static_cast<std::ptrdiff_t>(std::min(from + bucket, ticks));
      const auto [least, most] = std::minmax_element(begin, end);
      kept.insert(static_cast<std::size_t>(least - curve.begin()));
      kept.insert(static_cast<std::size_t>(most - curve.begin()));
    };
    keep_ends_of(world.wanted);
    keep_ends_of(run.reserve);
    keep_ends_of(run.serving);
    for (const std::size_t i : kept) {
      rows.push_back({static_cast<double>(i) * hours, world.wanted[i] * each, run.reserve[i], run.serving[i],
                      world.oracle.serving[i]});
    }
  }
  return rows;
}

constexpr std::string_view kScript = R"js(
const data = JSON.parse(document.getElementById("data").textContent);
const pick = document.getElementById("run");
data.runs.forEach((run, i) => pick.add(new Option(run.name, i)));
const chart = new Dygraph(document.getElementById("chart"), data.runs[0].rows, {
  labels: ["hours", "production wants", "reserve", "RL serving", "oracle"],
  stepPlot: true, fillGraph: false, legend: "always",
  colors: ["#2563d8", "#9aa0a8", "#d06a10", "#3a9a5c"], xlabel: "hours", ylabel: "GPUs", labelsSeparateLines: false,
  valueRange: [0, data.gpus * 1.02], strokeWidth: 1.4, labelsDiv: document.getElementById("legend"),
  series: {"reserve": {strokePattern: [4, 3]}, "oracle": {strokePattern: [2, 2]}}
});
pick.onchange = () => chart.updateOptions({file: data.runs[pick.value].rows});
document.getElementById("whole").onclick = () => chart.resetZoom();
)js";

constexpr std::string_view kStyle = R"css(
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; color: #1a1d21; }
#chart { width: 100%; height: 420px; } #legend { min-height: 1.6em; } pre { overflow-x: auto; font-size: 13px; }
select, button { font: inherit; padding: 2px 8px; } .quiet { color: #667; }
)css";

}  // namespace

std::string page(const Comparison& comparison, const ChartLibrary& chart) {
  nlohmann::json runs = nlohmann::json::array();
  for (const RunResult& run : comparison.runs) {
    runs.push_back({{"name", run.name}, {"rows", curve_of(comparison.world, run)}});
  }
  std::string data = json_text({{"gpus", comparison.world.pool().gpus.count}, {"runs", runs}});
  // A policy may be called what it likes: within a script element "</" and "<!--" mean something.
  for (std::size_t at = 0; (at = data.find('<', at)) != std::string::npos; at += 6) data.replace(at, 1, "\\u003c");
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Ebb back-test: {title}</title>\n"
      "<style>{dygraphs_css}{style}</style>\n<h1>Back-test: {title}</h1>\n"
      "<p><label>Policy <select id=\"run\"></select></label> <button id=\"whole\">whole trace</button>\n"
      "<span class=\"quiet\">drag to zoom, shift-drag to move, double click for the whole trace</span></p>\n"
      "<div id=\"legend\"></div><div id=\"chart\"></div>\n<pre>{table}</pre>\n"
      "<script type=\"application/json\" id=\"data\">{data}</script>\n<script>{dygraphs}</script>\n"
      "<script>{script}</script>\n</html>\n",
      fmt::arg("title", escaped(comparison.trace)), fmt::arg("dygraphs_css", chart.style), fmt::arg("style", kStyle),
      fmt::arg("table", escaped(table(comparison))), fmt::arg("data", data), fmt::arg("dygraphs", chart.script),
      fmt::arg("script", kScript));
}

}  // namespace ebb::backtest
