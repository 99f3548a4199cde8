#include "tests/emulators/engine/service.hpp"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <cmath>
#include <utility>

#include "tests/emulators/common/clock.hpp"
#include "tests/emulators/common/tokens.hpp"

namespace ebb::emulator {

namespace {

constexpr const char* kJson = "application/json";
constexpr const char* kText = "text/plain; charset=utf-8";
constexpr const char* kExposition = "text/plain; version=0.0.4; charset=utf-8";
constexpr double kClientCheck = 0.5;  // how often a waiting answer looks whether its client is still there

Headers headers_of(const char* type) {
  Headers headers;
  headers["content-type"] = type;
  headers["server"] = "ebb-engine (stand-in)";
  return headers;
}

/// What one streamed piece may say: all of the token, or what a stop text leaves of it.
std::string piece_of(const SpanTokens& tokens, const Continuation& made, int position, std::size_t& sent) {
  std::string piece = tokens.piece(position);
  if (made.stopped) piece = piece.substr(0, made.text.size() - std::min(sent, made.text.size()));
  sent += piece.size();
  return piece;
}

}  // namespace

EngineService::EngineService(asio::io_context& io, ServiceConfig config)
    : io_(io),
      config_(std::move(config)),
      engine_(io, config_.scheduler, config_.dialect),
      weights_(io, engine_, faults_, config_.updates, config_.weights),
      weight_routes_(weights_, config_.dialect),
      server_(io, [this](HttpRequestIn request, Reply reply) { return handle(std::move(request), std::move(reply)); }),
      started_unix_(unix_seconds()),
      quiet_(io.get_executor()) {}

Result<std::uint16_t> EngineService::start() {
  auto port = server_.listen(config_.host, config_.port);
  if (!port) return port;
  config_.port = *port;
  if (config_.instance.empty()) config_.instance = std::to_string(*port);
  asio::co_spawn(io_, engine_.run(), on_done("engine loop"));
  return port;
}

void EngineService::begin_drain() { draining_ = true; }

awaitable<int> EngineService::finish_drain(double seconds) {
  const double until = monotonic_seconds() + seconds;
  while (answering_ > 0 && monotonic_seconds() < until) {
    co_await quiet_.wait(until - monotonic_seconds());
  }
  const int left = static_cast<int>(engine_.in_flight());
  engine_.abort_all();
  const double grace = monotonic_seconds() + 1;  // for the last bytes to the clients
  while (answering_ > 0 && monotonic_seconds() < grace) {
    co_await quiet_.wait(grace - monotonic_seconds());
  }
  co_return left;
}

void EngineService::stop() {
  engine_.stop();
  server_.close_all();
}

// ---------------------------------------------------------------- routes

awaitable<void> EngineService::handle(HttpRequestIn request, Reply reply) {
  if (draining_) reply->close_after();
  const std::string method = request.head.method;
  const std::string path = request.path;
  if (method == "POST" && path == "/v1/completions") {
    co_await complete(Kind::completion, std::move(request), reply);
  } else if (method == "POST" && path == "/v1/chat/completions") {
    co_await complete(Kind::chat, std::move(request), reply);
  } else if (method == "GET" && path == "/metrics") {
    co_await show_metrics(reply);
  } else if (method == "GET" && path == "/health") {
    co_await show_health(reply);
  } else if (method == "GET" && path == "/v1/models") {
    std::string body = render_models(config_.model, engine_.config().max_model_len,
                                     static_cast<std::int64_t>(started_unix_), weights_.adapters());
    co_await reply->send(200, headers_of(kJson), std::move(body));
  } else if (path == "/_fault") {
    co_await change_fault(std::move(request), reply);
  } else if (method == "GET" && path == "/_calls") {
    // For tests of whole programs: what the weight endpoints were asked so far.
    nlohmann::json body;
    body["calls"] = weights_.calls();
    co_await answer(reply, 200, std::move(body));
  } else if (weight_routes_.owns(path)) {
    co_await weight_routes_.handle(std::move(request), reply);
  } else {
    const bool known = path == "/v1/completions" || path == "/v1/chat/completions" || path == "/metrics" ||
                       path == "/health" || path == "/v1/models";
    co_await send_error(reply, "none", known ? 405 : 404, known ? "MethodNotAllowed" : "NotFoundError",
                        known ? "method not allowed" : "no such path");
  }
}

awaitable<void> EngineService::send_error(Reply reply, std::string handler, int status, std::string type,
                                          std::string message) {
  if (handler != "none") ++engine_.metrics().http[std::make_pair(handler, status / 100)];
  Headers headers = headers_of(kJson);
  if (status == 503) headers["retry-after"] = "1";
  co_await reply->send(status, std::move(headers), render_error(status, type, message));
}

AnswerFrame EngineService::frame_for(const CompletionRequest& request) {
  AnswerFrame frame;
  frame.kind = request.kind;
  const char* head = request.kind == Kind::chat ? "chatcmpl" : "cmpl";
  frame.id = fmt::format("{}-{}-{}", head, config_.instance, next_answer_++);
  frame.model = request.model;
  frame.created = static_cast<std::int64_t>(unix_seconds());
  return frame;
}

awaitable<void> EngineService::complete(Kind kind, HttpRequestIn in, Reply reply) {
  const std::string handler = in.path;
  if (draining_) {
    co_await send_error(reply, handler, 503, "ServiceUnavailable", "the engine is shutting down");
    co_return;
  }
  auto request = completion_request_from(kind, in.body);
  if (!request) {
    co_await send_error(reply, handler, 400, "BadRequestError", request.error().what);
    co_return;
  }
  const std::string adapter = request->model == config_.model ? "" : request->model;
  if (!engine_.has_adapter(adapter)) {
    co_await send_error(reply, handler, 404, "NotFoundError",
                        fmt::format("The model `{}` does not exist.", request->model));
    co_return;
  }
  const int prompt_tokens = count_tokens(request->prompt);
  if (!engine_.fits(prompt_tokens, request->max_tokens)) {
    co_await send_error(reply, handler, 400, "BadRequestError",
                        fmt::format("{} prompt tokens and {} to generate do not fit into this engine's context",
                                    prompt_tokens, request->max_tokens));
    co_return;
  }
  ++engine_.metrics().http[std::make_pair(handler, 2)];
  ++answering_;
  AnswerFrame frame = frame_for(*request);
  const bool streams = request->stream;
  const auto generation = engine_.start(std::move(*request), adapter);
  if (streams) {
    co_await stream(generation, std::move(frame), reply);
  } else {
    co_await answer_whole(generation, std::move(frame), reply);
  }
  --answering_;
  quiet_.notify();
}

awaitable<void> EngineService::stream(std::shared_ptr<Generation> generation, AnswerFrame frame, Reply reply) {
  frame.weights = generation->spans.front().tag;
  bool open = co_await reply->begin(200, headers_of("text/event-stream; charset=utf-8"));
  if (open && frame.kind == Kind::chat) open = co_await reply->write(render_role(frame));
  int sent_tokens = 0;
  std::size_t sent_bytes = 0;
  WeightsSpans spans = generation->spans;
  SpanTokens tokens(generation->request.prompt, spans);
  while (open && !(generation->ended && sent_tokens >= generation->ready)) {
    if (spans != generation->spans) {
      spans = generation->spans;
      tokens = SpanTokens(generation->request.prompt, spans);
    }
    std::string events;
    while (sent_tokens < generation->ready) {
      const std::string piece = piece_of(tokens, generation->made, sent_tokens, sent_bytes);
      frame.weights = tag_at(spans, sent_tokens);
      const bool last = ++sent_tokens == generation->made.tokens;
      events += render_piece(frame, piece, last ? generation->finish_reason() : "");
    }
    if (!events.empty()) {
      open = co_await reply->write(std::move(events));
    } else {
      co_await generation->changed.wait(kClientCheck);
    }
    open = open && !reply->client_gone();
  }
  if (!open) {
    engine_.abort(*generation);  // as engines do: nobody reads, so nobody pays
    co_return;
  }
  std::string tail;
  if (generation->aborted) tail += render_piece(frame, "", "abort");
  const Usage usage{generation->prompt_tokens, sent_tokens, generation->cached_tokens};
  if (generation->request.include_usage) tail += render_usage(frame, usage);
  tail += kStreamEnd;
  open = co_await reply->write(std::move(tail));
  if (open) co_await reply->end();
}

awaitable<void> EngineService::answer_whole(std::shared_ptr<Generation> generation, AnswerFrame frame, Reply reply) {
  while (!generation->ended) {
    co_await generation->changed.wait(kClientCheck);
    if (reply->client_gone()) engine_.abort(*generation);
  }
  if (reply->client_gone()) co_return;
  if (generation->aborted && !generation->partial) {
    co_await send_error(reply, "none", 503, "ServiceUnavailable", "the engine is shutting down");
    co_return;
  }
  const Continuation& made = generation->made;
  const int count = generation->partial ? generation->ready : made.tokens;
  const SpanTokens tokens(generation->request.prompt, generation->spans);
  const bool cut = made.stopped && !generation->partial;
  const std::string text = cut ? made.text : tokens.text(count);
  frame.weights = generation->spans.back().tag;
  const Usage usage{generation->prompt_tokens, count, generation->cached_tokens};
  const char* reason = generation->partial ? "abort" : generation->finish_reason();
  std::string body = render_answer(frame, text, reason, usage, generation->spans);
  co_await reply->send(200, headers_of(kJson), std::move(body));
}

awaitable<void> EngineService::show_health(Reply reply) {
  if (const auto slow = faults_.find(Fault::slow_health); slow != faults_.end()) co_await pause(slow->second);
  if (draining_) {
    co_await send_error(reply, "none", 503, "ServiceUnavailable", "draining");
    co_return;
  }
  co_await reply->send(200, headers_of(kText), "");
}

// ---------------------------------------------------------------- metrics and faults

std::string EngineService::metrics_page() const {
  if (faults_.contains(Fault::freeze_gauges)) return frozen_page_;
  Gauges gauges = engine_.gauges();
  gauges.started_unix = started_unix_;
  gauges.startup_seconds = config_.startup_s;
  if (faults_.contains(Fault::nan)) {
    gauges.running = gauges.waiting = gauges.kv_usage = gauges.generation_rate = std::nan("");
  }
  return render_metrics(config_.dialect, config_.model, engine_.metrics(), gauges);
}

awaitable<void> EngineService::show_metrics(Reply reply) {
  while (faults_.contains(Fault::hang_metrics)) {
    co_await pause(0.1);
    if (reply->client_gone()) co_return;
  }
  std::string page = metrics_page();
  Headers headers = headers_of(kExposition);
  if (faults_.contains(Fault::truncate_metrics)) {
    headers["content-length"] = std::to_string(page.size());
    std::string half = render_response_head(200, headers) + page.substr(0, page.size() / 2);
    co_await reply->raw(std::move(half));
    co_return;
  }
  if (faults_.contains(Fault::cut_metrics)) page.resize(page.size() / 2);
  co_await reply->send(200, std::move(headers), std::move(page));
}

awaitable<void> EngineService::change_fault(HttpRequestIn request, Reply reply) {
  if (!request.loopback) {
    co_await send_error(reply, "none", 404, "NotFoundError", "no such path");
    co_return;
  }
  std::string name = request.body;
  while (!name.empty() && (name.back() == '\n' || name.back() == ' ')) name.pop_back();
  if (request.head.method == "DELETE" || name == "none") {
    clear_faults();
    co_await reply->send(200, headers_of(kText), "no faults\n");
    co_return;
  }
  const auto spec = fault_from(name);
  if (!spec) {
    co_await send_error(reply, "none", 400, "BadRequestError", spec.error().what);
    co_return;
  }
  co_await reply->send(200, headers_of(kText), "on: " + name + "\n");
  set_fault(*spec);
}

void EngineService::set_fault(FaultSpec spec) {
  if (spec.fault == Fault::freeze_gauges && !faults_.contains(spec.fault)) frozen_page_ = metrics_page();
  if (spec.fault == Fault::hang) engine_.hang(true);
  if (spec.fault == Fault::die_after) asio::co_spawn(io_, die_after(spec.seconds), on_done("die-after"));
  if (spec.fault == Fault::refuse) asio::co_spawn(io_, refuse_for(spec.seconds), on_done("refuse"));
  faults_[spec.fault] = spec.seconds;
}

void EngineService::clear_faults() {
  faults_.clear();
  engine_.hang(false);
}

awaitable<void> EngineService::refuse_for(double seconds) {
  server_.stop_listening();
  co_await pause(seconds);
  faults_.erase(Fault::refuse);
  const auto again = server_.listen(config_.host, config_.port);
  if (!again) ::_exit(1);  // somebody took the port meanwhile: an engine nobody can reach is of no use
}

awaitable<void> EngineService::die_after(double seconds) {
  co_await pause(seconds);
  if (faults_.contains(Fault::die_after)) ::_exit(1);
}

}  // namespace ebb::emulator
