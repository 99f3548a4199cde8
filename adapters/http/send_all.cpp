#include "adapters/http/send_all.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

#include "daemon/ports/spawn.hpp"

namespace ebb {

namespace asio = boost::asio;

namespace {

/// Shared with the tasks, which outlive a caller that is cancelled.
struct Countdown {
  Countdown(const asio::any_io_executor& executor, std::size_t count) : left(count), done(executor) {
    done.expires_at(asio::steady_timer::time_point::max());
  }
  std::size_t left;
  asio::steady_timer done;
};

awaitable<void> counted(std::shared_ptr<Countdown> countdown, awaitable<void> task) {
  co_await std::move(task);
  if (--countdown->left == 0) countdown->done.cancel();
}

using Answers = std::vector<Result<HttpResponse>>;

awaitable<void> send_one(HttpClient& client, HttpRequest request, std::shared_ptr<Answers> answers, std::size_t index) {
  Result<HttpResponse> answer = co_await client.send(std::move(request));
  (*answers)[index] = std::move(answer);
}

}  // namespace

awaitable<void> run_all(std::vector<awaitable<void>> tasks) {
  const auto executor = co_await asio::this_coro::executor;
  auto countdown = std::make_shared<Countdown>(executor, tasks.size());
  for (awaitable<void>& task : tasks) spawn(executor, counted(countdown, std::move(task)));
  if (countdown->left > 0) co_await countdown->done.async_wait(asio::as_tuple(asio::use_awaitable));
}

awaitable<std::vector<Result<HttpResponse>>> send_all(HttpClient& client, std::vector<HttpRequest> requests) {
  const Error unsent{ErrorCode::internal, "not sent", true};
  auto answers = std::make_shared<Answers>(requests.size(), unsent);
  std::vector<awaitable<void>> tasks;
  tasks.reserve(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    tasks.push_back(send_one(client, std::move(requests[i]), answers, i));
  }
  co_await run_all(std::move(tasks));
  co_return std::move(*answers);
}

}  // namespace ebb
