// The goal is 300 MB/s a core on a realistic page, all samples checked.
#include <benchmark/benchmark.h>

#include "adapters/exposition/dialects.hpp"
#include "adapters/exposition/parser.hpp"
#include "tests/bench/vllm_page.hpp"

namespace {

using namespace ebb::exposition;

/// Wants everything and keeps nothing.
struct Counting : Sink {
  bool wants(std::string_view) override { return true; }
  void sample(const Series& series) override { sum += series.value + static_cast<double>(series.labels.size()); }
  double sum = 0;
};

void every_sample(benchmark::State& state) {
  const std::string page = ebb::bench::vllm_page(static_cast<int>(state.range(0)), 7);
  for (auto _ : state) {
    Counting sink;
    const auto summary = parse(page, Format::text, sink);
    if (!summary.ok() || summary->duplicates != 0) state.SkipWithError("the page was refused");
    benchmark::DoNotOptimize(sink.sum);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * page.size()));
  state.counters["page_bytes"] = static_cast<double>(page.size());
}
BENCHMARK(every_sample)->Arg(1)->Arg(8);

/// What a scrape does: the load of one engine out of the page.
void load_of_an_engine(benchmark::State& state) {
  const std::string page = ebb::bench::vllm_page(static_cast<int>(state.range(0)), 7);
  for (auto _ : state) {
    const auto seen = read_engine(page, Format::text, "auto", "");
    if (!seen.ok() || !seen->in_flight.value) state.SkipWithError("the page was refused");
    benchmark::DoNotOptimize(seen);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * page.size()));
}
BENCHMARK(load_of_an_engine)->Arg(1)->Arg(8);

}  // namespace

BENCHMARK_MAIN();
