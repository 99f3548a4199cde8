// The metrics page in the two dialects; names and labels are those of the real engines.
#include <spdlog/fmt/fmt.h>

#include <cmath>

#include "tests/emulators/engine/metrics.hpp"

namespace ebb::emulator {

namespace {

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (value == std::floor(value) && std::abs(value) < 1e15) return fmt::format("{:.1f}", value);
  return fmt::format("{}", value);
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    out += c;
  }
  return out + "\"";
}

/// Writes families with one set of labels common to all series.
class PageWriter {
 public:
  PageWriter(std::string labels, double created) : labels_(std::move(labels)), created_(created) {}

  void family(const std::string& name, const char* type, const char* help) {
    page_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void series(const std::string& name, double value, const std::string& more = "") {
    const char* comma = more.empty() || labels_.empty() ? "" : ",";
    page_ += fmt::format("{}{{{}{}{}}} {}\n", name, labels_, comma, more, number(value));
  }
  void gauge(const std::string& name, const char* help, double value, const std::string& more = "") {
    family(name, "gauge", help);
    series(name, value, more);
  }
  /// One counter with its creation time, as the Python client writes it. `cells`: extra labels and value.
  using Cells = std::vector<std::pair<std::string, double>>;
  void counter(const std::string& name, const char* help, const Cells& cells) {
    family(name + "_total", "counter", help);
    for (const auto& [more, value] : cells) series(name + "_total", value, more);
    family(name + "_created", "gauge", help);
    for (const auto& [more, value] : cells) series(name + "_created", created_, more);
  }
  void histogram(const std::string& name, const char* help, const Histogram& histogram) {
    family(name, "histogram", help);
    const auto sums = histogram.cumulative();
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const std::string le = i < histogram.bounds().size() ? number(histogram.bounds()[i]) : "+Inf";
      series(name + "_bucket", static_cast<double>(sums[i]), "le=\"" + le + "\"");
    }
    series(name + "_count", static_cast<double>(histogram.count()));
    series(name + "_sum", histogram.sum());
    gauge(name + "_created", help, created_);
  }
  void plain(const std::string& line) { page_ += line; }
  [[nodiscard]] std::string take() { return std::move(page_); }

 private:
  std::string labels_;
  double created_;
  std::string page_;
};

double as_double(std::uint64_t n) { return static_cast<double>(n); }

void write_process(PageWriter& page, const EngineMetrics& metrics, const Gauges& gauges) {
  page.plain(
      fmt::format("# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.\n"
                  "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {:.2f}\n",
                  gauges.started_unix));
  if (metrics.http.empty()) return;
  page.plain(
      "# HELP http_requests_total Total number of requests by method, status and handler.\n"
      "# TYPE http_requests_total counter\n");
  for (const auto& [key, count] : metrics.http) {
    page.plain(fmt::format("http_requests_total{{handler=\"{}\",method=\"POST\",status=\"{}xx\"}} {}.0\n", key.first,
                           key.second, count));
  }
}

void write_vllm(PageWriter& page, const EngineMetrics& m, const Gauges& g) {
  page.gauge("vllm:num_requests_running", "Number of requests in model execution batches.", g.running);
  page.gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", g.waiting);
  page.family("vllm:num_requests_waiting_by_reason", "gauge", "Number of waiting requests by reason.");
  page.series("vllm:num_requests_waiting_by_reason", g.waiting, "reason=\"capacity\"");
  page.series("vllm:num_requests_waiting_by_reason", 0, "reason=\"deferred\"");
  page.gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", g.kv_usage);
  page.family("vllm:engine_sleep_state", "gauge", "Engine sleep state.");
  page.series("vllm:engine_sleep_state", 1, "sleep_state=\"awake\"");
  page.series("vllm:engine_sleep_state", 0, "sleep_state=\"weights_offloaded\"");
  page.series("vllm:engine_sleep_state", 0, "sleep_state=\"discard_all\"");
  page.gauge("vllm:cache_config_info", "Information of the LLMEngine CacheConfig", 1,
             fmt::format("block_size=\"{}\",num_gpu_blocks=\"{}\"", g.block_size, g.kv_blocks));
  page.counter("vllm:prompt_tokens", "Number of prefill tokens processed.", {{"", as_double(m.prompt_tokens)}});
  page.counter("vllm:generation_tokens", "Number of generation tokens processed.",
               {{"", as_double(m.generation_tokens)}});
  page.counter("vllm:num_preemptions", "Cumulative number of preemptions.", {{"", as_double(m.preemptions)}});
  PageWriter::Cells cells;
  for (const auto& [why, n] : m.success) cells.emplace_back(fmt::format("finished_reason=\"{}\"", why), as_double(n));
  page.counter("vllm:request_success", "Count of successfully processed requests.", cells);
  page.histogram("vllm:time_to_first_token_seconds", "Time to first token in seconds.", m.time_to_first_token);
  page.histogram("vllm:inter_token_latency_seconds", "Inter-token latency in seconds.", m.inter_token_latency);
  page.histogram("vllm:e2e_request_latency_seconds", "End to end request latency in seconds.", m.e2e_latency);
  page.histogram("vllm:request_queue_time_seconds", "Time spent in the waiting phase.", m.queue_time);
  page.histogram("vllm:iteration_tokens_total", "Number of tokens per engine step.", m.iteration_tokens);
}

void write_sglang(PageWriter& page, const EngineMetrics& m, const Gauges& g) {
  const double capacity = static_cast<double>(g.kv_blocks) * g.block_size;
  page.gauge("sglang:num_running_reqs", "The number of running requests.", g.running);
  page.gauge("sglang:num_queue_reqs", "The number of requests in the waiting queue.", g.waiting);
  page.gauge("sglang:num_grammar_queue_reqs", "Requests in the grammar waiting queue.", 0);
  page.gauge("sglang:num_used_tokens", "The number of used tokens.", g.kv_usage * capacity);
  page.gauge("sglang:token_usage", "The token usage.", g.kv_usage);
  page.gauge("sglang:max_total_num_tokens", "The size of the KV cache in tokens.", capacity);
  page.gauge("sglang:gen_throughput", "The generation throughput (token/s).", g.generation_rate);
  page.gauge("sglang:engine_startup_time", "The time taken for the engine to start up.", g.startup_seconds);
  page.gauge("sglang:cache_config_info", "Information of the cache config.", 1,
             fmt::format("page_size=\"{}\",num_pages=\"{}\"", g.block_size, g.kv_blocks));
  page.family("sglang:realtime_tokens_total", "counter", "Tokens processed, updated live.");
  page.series("sglang:realtime_tokens_total", as_double(m.prompt_tokens), "mode=\"prefill_compute\"");
  page.series("sglang:realtime_tokens_total", 0, "mode=\"prefill_cache\"");
  page.series("sglang:realtime_tokens_total", as_double(m.generation_tokens), "mode=\"decode\"");
  page.counter("sglang:prompt_tokens", "Number of prefill tokens processed.", {{"", as_double(m.prompt_tokens)}});
  page.counter("sglang:generation_tokens", "Number of generation tokens processed.",
               {{"", as_double(m.generation_tokens)}});
  page.counter("sglang:num_requests", "Number of requests processed.", {{"", as_double(m.requests)}});
  page.counter("sglang:num_aborted_requests", "Number of requests aborted.", {{"", as_double(m.aborted)}});
  page.counter("sglang:num_retracted_requests", "Number of requests retracted.", {{"", as_double(m.preemptions)}});
  page.histogram("sglang:time_to_first_token_seconds", "Time to first token in seconds.", m.time_to_first_token);
  page.histogram("sglang:inter_token_latency_seconds", "Inter-token latency in seconds.", m.inter_token_latency);
  page.histogram("sglang:e2e_request_latency_seconds", "End-to-end request latency in seconds.", m.e2e_latency);
  page.histogram("sglang:queue_time_seconds", "Time spent in the queue.", m.queue_time);
}

}  // namespace

std::string render_metrics(Dialect dialect, const std::string& model, const EngineMetrics& metrics,
                           const Gauges& gauges) {
  const std::string labels =
      dialect == Dialect::vllm
          ? fmt::format("engine=\"0\",model_name={}", quoted(model))
          : fmt::format("model_name={},engine_type=\"unified\",tp_rank=\"0\",pp_rank=\"0\",moe_ep_rank=\"0\"",
                        quoted(model));
  PageWriter page(labels, gauges.started_unix);
  dialect == Dialect::vllm ? write_vllm(page, metrics, gauges) : write_sglang(page, metrics, gauges);
  write_process(page, metrics, gauges);
  return page.take();
}

}  // namespace ebb::emulator
