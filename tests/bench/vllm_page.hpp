// A page as a vLLM server of some data-parallel engines writes it, for the benchmarks.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <string>
#include <vector>

namespace ebb::bench {

inline void histogram(std::string& page, const std::string& name, int engine, int buckets, int seed) {
  page += fmt::format("# HELP {0} Histogram of {0}.\n# TYPE {0} histogram\n", name);
  const std::string labels = fmt::format("engine=\"{}\",model_name=\"meta-llama/Llama-3.3-70B-Instruct\"", engine);
  page += fmt::format("{}_sum{{{}}} {}\n", name, labels, 1234.56789 * seed);
  for (int i = 0; i < buckets; ++i) {
    page +=
        fmt::format("{}_bucket{{{},le=\"{}\"}} {:.1f}\n", name, labels, 0.001 * (i + 1) * (i + 1), 100.0 * i + seed);
  }
  page += fmt::format("{0}_bucket{{{1},le=\"+Inf\"}} 9001.0\n{0}_count{{{1}}} 9001.0\n", name, labels);
  page += fmt::format("# TYPE {0}_created gauge\n{0}_created{{{1}}} 1.7672256001234567e+09\n", name, labels);
}

/// `seed` moves the numbers, so that no two targets send the same page.
inline std::string vllm_page(int engines, int seed) {
  std::string page =
      "# HELP python_info Python platform information\n# TYPE python_info gauge\n"
      "python_info{implementation=\"CPython\",major=\"3\",minor=\"12\",patchlevel=\"11\",version=\"3.12.11\"} 1.0\n"
      "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.76722559812e+09\n";
  const std::vector<const char*> gauges{"num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"};
  const std::vector<const char*> counters{"prompt_tokens",     "generation_tokens", "prefix_cache_queries",
                                          "prefix_cache_hits", "num_preemptions",   "prompt_tokens_cached",
                                          "mm_cache_queries",  "mm_cache_hits"};
  const std::vector<std::pair<const char*, int>> histograms{{"time_to_first_token_seconds", 22},
                                                            {"inter_token_latency_seconds", 19},
                                                            {"request_time_per_output_token_seconds", 19},
                                                            {"e2e_request_latency_seconds", 21},
                                                            {"request_queue_time_seconds", 21},
                                                            {"request_inference_time_seconds", 21},
                                                            {"request_prefill_time_seconds", 21},
                                                            {"request_decode_time_seconds", 21},
                                                            {"iteration_tokens_total", 13},
                                                            {"request_prompt_tokens", 16},
                                                            {"request_generation_tokens", 16},
                                                            {"request_max_num_generation_tokens", 16},
                                                            {"request_params_max_tokens", 16},
                                                            {"request_params_n", 5},
                                                            {"request_prefill_kv_computed_tokens", 16}};
  for (int engine = 0; engine < engines; ++engine) {
    const std::string labels = fmt::format("engine=\"{}\",model_name=\"meta-llama/Llama-3.3-70B-Instruct\"", engine);
    for (const char* name : gauges) {
      const double value = std::string_view(name) == "kv_cache_usage_perc" ? 0.001 * (seed % 997) : seed % 64;
      page += fmt::format("# HELP vllm:{0} Gauge.\n# TYPE vllm:{0} gauge\nvllm:{0}{{{1}}} {2}\n", name, labels, value);
    }
    for (const char* name : counters) {
      page += fmt::format("# HELP vllm:{0}_total Counter.\n# TYPE vllm:{0}_total counter\nvllm:{0}_total{{{1}}} {2}\n",
                          name, labels, 1.9348211e+07 + seed);
      page +=
          fmt::format("# TYPE vllm:{0}_created gauge\nvllm:{0}_created{{{1}}} 1.7672256001234567e+09\n", name, labels);
    }
    for (const char* reason : {"stop", "length", "abort"}) {
      page += fmt::format("vllm:request_success_total{{finished_reason=\"{}\",{}}} {}\n", reason, labels, 100 + seed);
    }
    for (const auto& [name, buckets] : histograms) histogram(page, std::string("vllm:") + name, engine, buckets, seed);
  }
  return page;
}

}  // namespace ebb::bench
