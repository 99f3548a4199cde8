#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "adapters/exposition/dialects.hpp"

namespace ebb::exposition {
namespace {

using testing::HasSubstr;

EngineSeen seen(const std::string& body, const std::string& dialect = "auto", const std::string& model = "") {
  const Result<EngineSeen> read = read_engine(body, Format::text, dialect, model);
  EXPECT_TRUE(read.ok()) << read.error().what;
  return read.ok() ? *read : EngineSeen();
}

Error refused(const std::string& body, const std::string& dialect = "auto", const std::string& model = "") {
  const Result<EngineSeen> read = read_engine(body, Format::text, dialect, model);
  EXPECT_FALSE(read.ok());
  return read.ok() ? Error{} : read.error();
}

double sum(const Counters& counters) {
  double total = 0;
  for (const auto& [key, value] : counters) total += value;
  return total;
}

TEST(Dialects, EveryRowIsFoundUnderItsOwnName) {
  for (const MetricRow& row : metric_rows()) {
    EXPECT_EQ(row.name.find(':'), std::string_view::npos) << row.name;
    EXPECT_TRUE(row.label.empty() == row.value.empty()) << row.name;
    std::string line(row.name);
    if (!row.label.empty()) line += "{" + std::string(row.label) + "=\"" + std::string(row.value) + "\"}";
    const std::string page = line + " 1\n";
    const Result<EngineSeen> read = read_engine(page, Format::text, to_string(row.dialect), "");
    if (!read.ok()) {
      EXPECT_EQ(read.error().code, ErrorCode::not_found) << row.name;
      continue;
    }
    EXPECT_EQ(read->dialect, row.dialect) << row.name;
  }
  for (const char* name : {"vllm", "sglang", "dynamo", "tgi", "llamacpp", "triton"}) {
    EXPECT_STREQ(to_string(*dialect_from(name)), name);
  }
  EXPECT_FALSE(dialect_from("auto"));
}

TEST(Dialects, VllmNewAndOldNamesColonAndUnderscore) {
  struct Row {
    int line;
    const char* page;
  };
  const Row rows[] = {
      {__LINE__, "vllm:num_requests_running 12\nvllm:num_requests_waiting 3\nvllm:kv_cache_usage_perc 0.4\n"},
      {__LINE__, "vllm_num_requests_running 12\nvllm_num_requests_waiting 3\nvllm_kv_cache_usage_perc 0.4\n"},
      {__LINE__,
       "vllm:num_requests_running 12\nvllm:num_requests_waiting 1\nvllm:num_requests_swapped 2\n"
       "vllm:gpu_cache_usage_perc 0.4\n"},
      {__LINE__,
       "vllm:num_requests_running 12\nvllm:num_requests_waiting 3\nvllm:kv_cache_usage_perc 0.4\n"
       "vllm:gpu_cache_usage_perc 0.9\n"},
  };
  for (const Row& row : rows) {
    const EngineSeen engine = seen(row.page);
    EXPECT_EQ(engine.dialect, DialectKind::vllm) << row.line;
    EXPECT_EQ(engine.running.value, 12) << row.line;
    EXPECT_EQ(engine.waiting.value, 3) << row.line;
    EXPECT_EQ(engine.in_flight.value, 15) << row.line;
    EXPECT_EQ(engine.kv_usage.value, 0.4) << row.line;
  }
}

TEST(Dialects, VllmWaitsForCapacityOnly) {
  const EngineSeen engine = seen(
      "vllm:num_requests_running 1\nvllm:num_requests_waiting 9\n"
      "vllm:num_requests_waiting_by_reason{reason=\"capacity\"} 2\n"
      "vllm:num_requests_waiting_by_reason{reason=\"deferred\"} 7\n");
  EXPECT_EQ(engine.waiting.value, 2);
  EXPECT_EQ(engine.in_flight.value, 3);
}

TEST(Dialects, VllmDataParallelEnginesAddUpAndTheFullestCacheCounts) {
  const EngineSeen engine = seen(
      "vllm:num_requests_running{engine=\"0\"} 1\nvllm:num_requests_running{engine=\"1\"} 4\n"
      "vllm:num_requests_waiting{engine=\"0\"} 0\nvllm:num_requests_waiting{engine=\"1\"} 2\n"
      "vllm:kv_cache_usage_perc{engine=\"0\"} 0.1\nvllm:kv_cache_usage_perc{engine=\"1\"} 0.8\n"
      "vllm:prompt_tokens_total{engine=\"0\"} 10\nvllm:generation_tokens_total{engine=\"0\"} 100\n"
      "vllm:request_success_total{engine=\"0\",finished_reason=\"stop\"} 5\n"
      "vllm:request_success_total{engine=\"0\",finished_reason=\"length\"} 6\n"
      "vllm:generation_tokens_created{engine=\"0\"} 1.7e9\nprocess_start_time_seconds 1.6e9\n"
      "vllm:iteration_tokens_total_bucket{le=\"1.0\"} 3\n");
  EXPECT_EQ(engine.in_flight.value, 7);
  EXPECT_EQ(engine.kv_usage.value, 0.8);
  EXPECT_EQ(sum(engine.tokens), 110);
  EXPECT_EQ(sum(engine.progress), 110);
  EXPECT_EQ(sum(engine.requests), 11);
  EXPECT_EQ(engine.births.size(), 2u);
}

TEST(Dialects, VllmSleepStates) {
  const std::string load = "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n";
  EXPECT_FALSE(seen(load).asleep.value);
  EXPECT_EQ(seen(load + "vllm:engine_sleep_state{sleep_state=\"awake\"} 1\n").asleep.value, 0);
  EXPECT_EQ(seen(load + "vllm:engine_sleep_state{sleep_state=\"awake\"} 0\n"
                        "vllm:engine_sleep_state{sleep_state=\"weights_offloaded\"} 1\n")
                .asleep.value,
            1);
  EXPECT_EQ(seen(load + "vllm:engine_sleep_state{sleep_state=\"discard_all\"} 1\n"
                        "vllm:engine_sleep_state{sleep_state=\"weights_offloaded\"} 0\n")
                .asleep.value,
            1);
}

TEST(Dialects, SglangRanksAreNotCountedTwice) {
  std::string page;
  for (const char* tp : {"0", "1", "2", "3"}) {
    for (const char* dp : {"0", "1"}) {
      const std::string labels =
          std::string("{model_name=\"m\",tp_rank=\"") + tp + "\",pp_rank=\"0\",dp_rank=\"" + dp + "\"} ";
      page += "sglang:num_running_reqs" + labels + "5\nsglang:num_queue_reqs" + labels + "1\n";
      page += "sglang:num_decode_transfer_queue_reqs" + labels + "2\nsglang:token_usage" + labels + "0.25\n";
      const std::string mode = labels.substr(0, labels.size() - 2);
      page += "sglang:realtime_tokens_total" + mode + ",mode=\"decode\"} 100\n";
      page += "sglang:realtime_tokens_total" + mode + ",mode=\"prefill_compute\"} 10\n";
    }
  }
  page += "sglang:generation_tokens_total{model_name=\"m\"} 999\nsglang:num_requests_total{model_name=\"m\"} 7\n";
  const EngineSeen engine = seen(page);
  EXPECT_EQ(engine.dialect, DialectKind::sglang);
  EXPECT_EQ(engine.running.value, 10) << "two data-parallel schedulers, four tensor ranks each";
  EXPECT_EQ(engine.waiting.value, 6);
  EXPECT_EQ(engine.in_flight.value, 16);
  EXPECT_EQ(engine.kv_usage.value, 0.25);
  EXPECT_EQ(sum(engine.tokens), 220) << "the live counter, not that of finished requests";
  EXPECT_EQ(sum(engine.progress), 220);
}

TEST(Dialects, SglangWithoutLiveTokensCannotBeToldFrozen) {
  const EngineSeen engine = seen(
      "sglang_num_running_reqs 5\nsglang_num_queue_reqs 1\nsglang_prompt_tokens_total "
      "5\nsglang_generation_tokens_total 6\n");
  EXPECT_EQ(sum(engine.tokens), 11);
  EXPECT_TRUE(engine.progress.empty());
}

TEST(Dialects, DynamoQueuedRequestsAreAmongTheActiveOnes) {
  for (const char* name : {"active", "inflight"}) {
    const EngineSeen engine = seen(std::string("dynamo_frontend_") + name +
                                   "_requests{model=\"m\"} 10\n"
                                   "dynamo_frontend_queued_requests{model=\"m\"} 4\n"
                                   "dynamo_frontend_requests_started_total{model=\"m\"} 100\n"
                                   "dynamo_frontend_requests_total{model=\"m\"} 90\n"
                                   "dynamo_frontend_output_tokens_total{model=\"m\"} 5000\n");
    EXPECT_EQ(engine.dialect, DialectKind::dynamo);
    EXPECT_EQ(engine.in_flight.value, 10);
    EXPECT_EQ(engine.waiting.value, 4);
    EXPECT_EQ(engine.running.value, 6);
    EXPECT_EQ(sum(engine.requests), 100) << "started, not finished";
    EXPECT_EQ(sum(engine.progress), 5000);
  }
  const EngineSeen both = seen(
      "dynamo_frontend_active_requests 10\ndynamo_frontend_inflight_requests 10\ndynamo_frontend_queued_requests 0\n");
  EXPECT_EQ(both.in_flight.value, 10) << "the deprecated twin is not added";
}

TEST(Dialects, TgiAndLlamaCpp) {
  const EngineSeen tgi = seen(
      "tgi_queue_size 3\ntgi_batch_current_size 8\ntgi_request_count 40\n"
      "tgi_batch_inference_count{method=\"decode\"} 9\ntgi_request_generated_tokens_sum 700\n");
  EXPECT_EQ(tgi.dialect, DialectKind::tgi);
  EXPECT_EQ(tgi.in_flight.value, 11);
  EXPECT_EQ(sum(tgi.tokens), 700);
  EXPECT_EQ(sum(tgi.progress), 9);
  EXPECT_FALSE(tgi.kv_usage.value);
  const EngineSeen llama = seen(
      "llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\n"
      "llamacpp:predicted_tokens_seconds nan\nllamacpp:tokens_predicted_total 9\n"
      "llamacpp:n_decode_total 4\n");
  EXPECT_EQ(llama.dialect, DialectKind::llamacpp);
  EXPECT_EQ(llama.in_flight.value, 3);
  EXPECT_EQ(sum(llama.progress), 4);
}

TEST(Dialects, TritonWithAndWithoutTensorRtLlm) {
  const EngineSeen trt = seen(
      "nv_trt_llm_request_metrics{model=\"t\",request_type=\"waiting\",version=\"1\"} 2\n"
      "nv_trt_llm_request_metrics{model=\"t\",request_type=\"scheduled\",version=\"1\"} 6\n"
      "nv_trt_llm_request_metrics{model=\"t\",request_type=\"max\",version=\"1\"} 512\n"
      "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"fraction\",model=\"t\"} 0.5\n"
      "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"used\",model=\"t\"} 900\n"
      "nv_inference_pending_request_count{model=\"t\"} 1\nnv_inference_request_duration_us{model=\"t\"} 123456\n");
  EXPECT_EQ(trt.dialect, DialectKind::triton);
  EXPECT_EQ(trt.running.value, 6);
  EXPECT_EQ(trt.waiting.value, 3);
  EXPECT_EQ(trt.in_flight.value, 9);
  EXPECT_EQ(trt.kv_usage.value, 0.5);
  EXPECT_EQ(sum(trt.busy_us), 123456);
  const EngineSeen plain = seen("nv_inference_pending_request_count{model=\"t\"} 4\n");
  EXPECT_EQ(plain.waiting.value, 4);
  EXPECT_FALSE(plain.in_flight.value) << "an empty queue alone does not prove that nothing runs";
  const EngineSeen serve =
      seen("trtllm:num_requests_running 2\ntrtllm:num_requests_waiting 1\ntrtllm:kv_cache_utilization 0.3\n");
  EXPECT_EQ(serve.in_flight.value, 3);
  EXPECT_EQ(serve.kv_usage.value, 0.3);
}

TEST(Dialects, RenamedMetricsRaiseAnErrorThatShowsWhatIsThere) {
  const Error error = refused("go_threads 4\nvllm:requests_running_now 3\n", "vllm");
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_EQ(error.what, "no vllm metric found; saw: go_threads, vllm:requests_running_now");
  EXPECT_THAT(refused("# nothing\n").what, HasSubstr("saw: nothing"));
  EXPECT_THAT(refused("tgi_queue_size 3\ntgi_batch_current_size 8\n", "vllm").what, HasSubstr("no vllm metric"));
}

TEST(Dialects, OneOfTwoLoadMetricsAloneIsNotZeroForTheOther) {
  const EngineSeen engine = seen("vllm:num_requests_running 0\n");
  EXPECT_EQ(engine.running.value, 0);
  EXPECT_FALSE(engine.waiting.value);
  EXPECT_FALSE(engine.in_flight.value);
  EXPECT_THAT(engine.in_flight.why, HasSubstr("no waiting metric"));
}

TEST(Dialects, NanInfinityAndNegativesAreUnknown) {
  for (const char* value : {"NaN", "+Inf", "-1"}) {
    const EngineSeen engine =
        seen(std::string("vllm:num_requests_running{engine=\"0\"} 3\nvllm:num_requests_running{engine=\"1\"} ") +
             value + "\nvllm:num_requests_waiting 0\nvllm:kv_cache_usage_perc " + value + "\n");
    EXPECT_FALSE(engine.running.value) << value;
    EXPECT_FALSE(engine.in_flight.value) << value;
    EXPECT_FALSE(engine.kv_usage.value) << value;
    EXPECT_THAT(engine.running.why, HasSubstr("in vllm:num_requests_running"));
  }
  EXPECT_FALSE(seen("vllm:num_requests_running 3\nvllm:kv_cache_usage_perc 43.0\n").kv_usage.value) << "no fraction";
}

TEST(Dialects, AnotherModelsSeriesAreNotOurs) {
  const std::string page =
      "vllm:num_requests_running{model_name=\"prod\"} 3\nvllm:num_requests_waiting{model_name=\"prod\"} 1\n"
      "vllm:num_requests_running{model_name=\"other\"} 50\nvllm:num_requests_waiting{model_name=\"other\"} 50\n";
  EXPECT_EQ(seen(page, "auto", "prod").in_flight.value, 4);
  EXPECT_EQ(seen(page).in_flight.value, 104);
  EXPECT_EQ(refused(page, "auto", "prd").what, "no engine metric of model \"prd\" found; saw model \"prod\"");
  EXPECT_EQ(seen("tgi_queue_size 3\ntgi_batch_current_size 8\n", "auto", "prod").in_flight.value, 11)
      << "has no model label";
}

TEST(Dialects, ADoubledSeriesCondemnsThePage) {
  const Error error =
      refused("vllm:num_requests_running 3\nvllm:num_requests_running 4\nvllm:num_requests_waiting 0\n");
  EXPECT_EQ(error.code, ErrorCode::malformed);
  EXPECT_THAT(error.what, HasSubstr("vllm:num_requests_running"));
  EXPECT_EQ(seen("x 3\nx 4\nvllm:num_requests_running 3\nvllm:num_requests_waiting 0\n").in_flight.value, 3)
      << "what we do not read is not our business";
}

TEST(Dialects, SamplesWithATimeOfTheirOwnAreAsOldAsTheySay) {
  EXPECT_EQ(seen("vllm:num_requests_running 3 2000\nvllm:num_requests_waiting 0 1000\n").oldest_timestamp_ms, 1000);
}

}  // namespace
}  // namespace ebb::exposition
