#include "adapters/http/curl_client.hpp"

#include <algorithm>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <utility>

#include "adapters/http/curl_worker.hpp"

namespace ebb {

namespace asio = boost::asio;

namespace {

/// Resumes a coroutine on its own executor, which is kept running until then.
template <class Handler>
class CoroutineWaiter : public HttpWaiter {
 public:
  explicit CoroutineWaiter(Handler handler)
      : handler_(std::move(handler)), home_(asio::get_associated_executor(handler_)), guard_(home_) {}

  void complete(Result<HttpResponse> result) override {
    auto resume = [handler = std::move(handler_), result = std::move(result)]() mutable {
      std::move(handler)(std::move(result));
    };
    asio::post(home_, std::move(resume));
  }

 private:
  using Executor = asio::associated_executor_t<Handler>;
  Handler handler_;
  Executor home_;
  asio::executor_work_guard<Executor> guard_;
};

}  // namespace

CurlClient::CurlClient(const CurlOptions& options) {
  for (int i = 0; i < std::max(options.workers, 1); ++i) workers_.push_back(std::make_shared<CurlWorker>(options));
}

CurlClient::~CurlClient() { stop(); }

void CurlClient::stop() {
  for (const auto& worker : workers_) worker->stop();
}

const std::shared_ptr<CurlWorker>& CurlClient::worker_of(std::string_view url) const {
  const std::size_t scheme = url.find("://");
  std::string_view host = scheme == std::string_view::npos ? url : url.substr(scheme + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  return workers_[std::hash<std::string_view>()(host) % workers_.size()];
}

awaitable<Result<HttpResponse>> CurlClient::send(HttpRequest request) {
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(Result<HttpResponse>)>(
      [worker = worker_of(request.url), request = std::move(request)](auto handler) mutable {
        auto slot = asio::get_associated_cancellation_slot(handler);
        auto waiter = std::make_unique<CoroutineWaiter<decltype(handler)>>(std::move(handler));
        const std::uint64_t id = worker->submit(std::move(request), std::move(waiter));
        // Weak, since a slot that is never assigned again would keep the worker for as long as its coroutine.
        if (slot.is_connected()) {
          slot.assign([weak = std::weak_ptr<CurlWorker>(worker), id](asio::cancellation_type) {
            if (const auto alive = weak.lock()) alive->cancel(id);
          });
        }
      },
      asio::use_awaitable);
}

}  // namespace ebb
