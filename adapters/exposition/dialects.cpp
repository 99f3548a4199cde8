#include "adapters/exposition/dialects.hpp"

#include <array>

namespace ebb::exposition {

namespace {

using enum Role;
constexpr auto V = DialectKind::vllm;
constexpr auto S = DialectKind::sglang;
constexpr auto D = DialectKind::dynamo;
constexpr auto T = DialectKind::tgi;
constexpr auto L = DialectKind::llamacpp;
constexpr auto N = DialectKind::triton;

// The newer name stands first. Counters carry the "_total" their clients add; the bare spelling is that of clients
// which do not.
constexpr MetricRow kRows[] = {
    // vLLM. "capacity" would run if there was room; "deferred" waits for something else than a GPU.
    {V, running, 0, "vllm_num_requests_running", "", "", false},
    {V, waiting, 0, "vllm_num_requests_waiting_by_reason", "reason", "capacity", false},
    {V, waiting, 0, "vllm_num_requests_waiting", "", "", false},
    {V, waiting, 1, "vllm_num_requests_swapped", "", "", false},  // V0 engines only
    {V, kv_usage, 0, "vllm_kv_cache_usage_perc", "", "", false},
    {V, kv_usage, 0, "vllm_gpu_cache_usage_perc", "", "", false},
    {V, tokens, 0, "vllm_prompt_tokens_total", "", "", true},
    {V, tokens, 0, "vllm_prompt_tokens", "", "", true},
    {V, tokens, 1, "vllm_generation_tokens_total", "", "", true},
    {V, tokens, 1, "vllm_generation_tokens", "", "", true},
    {V, requests, 0, "vllm_request_success_total", "", "", false},
    {V, requests, 0, "vllm_request_success", "", "", false},
    {V, created, 0, "vllm_generation_tokens_created", "", "", false},
    {V, awake, 0, "vllm_engine_sleep_state", "sleep_state", "awake", false},
    {V, asleep, 0, "vllm_engine_sleep_state", "sleep_state", "weights_offloaded", false},
    {V, asleep, 1, "vllm_engine_sleep_state", "sleep_state", "discard_all", false},

    // SGLang. Its plain token counters move when a request ends, the realtime one with every batch.
    {S, running, 0, "sglang_num_running_reqs", "", "", false},
    {S, waiting, 0, "sglang_num_queue_reqs", "", "", false},
    {S, waiting, 1, "sglang_num_grammar_queue_reqs", "", "", false},
    {S, waiting, 2, "sglang_num_prefill_prealloc_queue_reqs", "", "", false},
    {S, waiting, 3, "sglang_num_prefill_inflight_queue_reqs", "", "", false},
    {S, waiting, 4, "sglang_num_decode_prealloc_queue_reqs", "", "", false},
    {S, waiting, 5, "sglang_num_decode_transfer_queue_reqs", "", "", false},
    {S, kv_usage, 0, "sglang_token_usage", "", "", false},
    {S, tokens, 0, "sglang_realtime_tokens_total", "mode", "prefill_compute", true},
    {S, tokens, 0, "sglang_prompt_tokens_total", "", "", false},
    {S, tokens, 1, "sglang_realtime_tokens_total", "mode", "decode", true},
    {S, tokens, 1, "sglang_generation_tokens_total", "", "", false},
    {S, tokens, 2, "sglang_realtime_tokens_total", "mode", "prefill_cache", true},
    {S, requests, 0, "sglang_num_requests_total", "", "", false},

    // Dynamo's frontend. Queued requests are among the active ones: subtracted for running, not added.
    {D, in_flight, 0, "dynamo_frontend_active_requests", "", "", false},
    {D, in_flight, 0, "dynamo_frontend_inflight_requests", "", "", false},
    {D, waiting, 0, "dynamo_frontend_queued_requests", "", "", false},
    {D, tokens, 0, "dynamo_frontend_output_tokens_total", "", "", true},
    {D, tokens, 1, "dynamo_frontend_input_sequence_tokens_sum", "", "", false},
    {D, requests, 0, "dynamo_frontend_requests_started_total", "", "", false},
    {D, requests, 0, "dynamo_frontend_requests_total", "", "", false},

    // TGI. Tokens are sums of histograms, observed when a request ends.
    {T, running, 0, "tgi_batch_current_size", "", "", false},
    {T, waiting, 0, "tgi_queue_size", "", "", false},
    {T, tokens, 0, "tgi_request_generated_tokens_sum", "", "", false},
    {T, tokens, 1, "tgi_request_input_length_sum", "", "", false},
    {T, requests, 0, "tgi_request_count", "", "", false},
    {T, progress, 0, "tgi_batch_inference_count", "", "", true},

    // llama.cpp's server.
    {L, running, 0, "llamacpp_requests_processing", "", "", false},
    {L, waiting, 0, "llamacpp_requests_deferred", "", "", false},
    {L, kv_usage, 0, "llamacpp_kv_cache_usage_ratio", "", "", false},
    {L, tokens, 0, "llamacpp_prompt_tokens_total", "", "", false},
    {L, tokens, 1, "llamacpp_tokens_predicted_total", "", "", false},
    {L, progress, 0, "llamacpp_n_decode_total", "", "", true},

    // Triton with the TensorRT-LLM back end: its own queue stands behind Triton's.
    {N, running, 0, "nv_trt_llm_request_metrics", "request_type", "scheduled", false},
    {N, waiting, 0, "nv_trt_llm_request_metrics", "request_type", "waiting", false},
    {N, waiting, 1, "nv_inference_pending_request_count", "", "", false},
    {N, kv_usage, 0, "nv_trt_llm_kv_cache_block_metrics", "kv_cache_block_type", "fraction", false},
    {N, progress, 0, "nv_trt_llm_general_metrics", "general_type", "iteration_counter", true},
    {N, requests, 0, "nv_inference_request_success", "", "", false},
    {N, busy_us, 0, "nv_inference_request_duration_us", "", "", false},
    // trtllm-serve, without Triton.
    {N, running, 0, "trtllm_num_requests_running", "", "", false},
    {N, waiting, 0, "trtllm_num_requests_waiting", "", "", false},
    {N, kv_usage, 0, "trtllm_kv_cache_utilization", "", "", false},
    {N, tokens, 0, "trtllm_prompt_tokens_total", "", "", false},
    {N, tokens, 1, "trtllm_generation_tokens_total", "", "", false},
    {N, requests, 0, "trtllm_request_success_total", "", "", false},
};

constexpr std::array<const char*, 6> kNames{"vllm", "sglang", "dynamo", "tgi", "llamacpp", "triton"};

}  // namespace

std::span<const MetricRow> metric_rows() { return kRows; }

const char* to_string(DialectKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::optional<DialectKind> dialect_from(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<DialectKind>(i);
  }
  return std::nullopt;
}

}  // namespace ebb::exposition
