#include "adapters/engines/puller.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace ebb {
namespace {

using nlohmann::json;

// What is on this host already is there in milliseconds, a download takes minutes: the pause doubles.
constexpr Duration kPollFirst{10};
constexpr Duration kPollMax{250};
// One question; the transfer itself may take as long as the order.
constexpr Duration kAskMax{5'000};

json body_of(const std::vector<Snapshot>& path) {
  json links = json::array();
  for (const Snapshot& snapshot : path) {
    links.push_back(json{{"identity", snapshot.identity().value},
                         {"kind", to_string(snapshot.said.kind)},
                         {"parent", snapshot.said.parent.value}});
  }
  json body = json::object();
  body["path"] = std::move(links);
  return body;
}

/// What the puller says; nothing: it is at it.
std::optional<Result<std::string>> verdict_of(const EngineAnswer& answer, const std::string& who) {
  const std::string state = answer.word("state");
  if (state == "ready") {
    std::string directory = answer.word("directory");
    if (directory.empty() || directory.front() != '/') {
      return Result<std::string>(Error{ErrorCode::invalid, who + " names no directory", false});
    }
    return Result<std::string>(std::move(directory));
  }
  if (state != "failed") return std::nullopt;
  const bool again = answer.flag("retryable");
  const std::string what = who + ": " + reason_of(answer);
  return Result<std::string>(Error{again ? ErrorCode::unreachable : ErrorCode::invalid, what, again});
}

bool is_final(const Error& error) {
  return error.code == ErrorCode::invalid || error.code == ErrorCode::denied || error.code == ErrorCode::conflict;
}

}  // namespace

awaitable<Result<std::string>> pull_snapshot(EngineHttp http, std::string puller, std::vector<Snapshot> path,
                                             TimePoint deadline) {
  const std::string who = "ebb-pull at " + puller;
  const std::string url = url_of(puller, "/v1/snapshots/" + percent_encoded(path.back().identity().value));
  Error problem{ErrorCode::unreachable, who + ": not there in time", true};
  bool asked = false;
  Duration between = kPollFirst;
  while (http.clock().now() < deadline) {
    const TimePoint until = std::min(deadline, http.clock().now() + kAskMax);
    Result<EngineAnswer> answer = problem;
    if (asked) {
      answer = co_await http.get(url, until);
    } else {
      json body = body_of(path);
      answer = co_await http.put(url, std::move(body), until);
    }
    if (answer.ok() && answer->ok()) {
      const bool polled = asked;
      asked = true;
      if (std::optional<Result<std::string>> verdict = verdict_of(*answer, who)) {
        // What the PUT shows as failed is an earlier attempt, which it has just begun anew.
        if (polled || verdict->ok()) co_return std::move(*verdict);
      }
    } else if (answer.ok()) {
      // A puller that began anew has forgotten what it was asked for.
      const bool forgotten = asked && answer->status == 404;
      if (!forgotten) problem = refusal(*answer, who);
      if (!forgotten && is_final(problem)) co_return problem;
      asked = asked && !forgotten;
    } else {
      problem = Error{ErrorCode::unreachable, who + ": " + answer.error().what, true};
    }
    const TimePoint next = std::min(deadline, http.clock().now() + between);
    between = std::min(2 * between, kPollMax);
    co_await http.clock().sleep_until(next);
  }
  co_return Error{ErrorCode::unreachable, problem.what, true};
}

}  // namespace ebb
