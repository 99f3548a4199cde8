// The thread behind CurlClient. Internal to adapters/http.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "adapters/http/curl_client.hpp"

namespace ebb {

/// Whoever waits for an answer. `complete` is called once, on any thread, and must only post.
class HttpWaiter {
 public:
  virtual ~HttpWaiter() = default;
  virtual void complete(Result<HttpResponse> result) = 0;
};

/// Drives a curl multi handle with epoll:
///
///   submit/cancel --lock--> inbox --eventfd--> [ worker thread: epoll(eventfd, timerfd, curl's sockets) ] --post-->
///   caller
///
/// curl_multi_poll would be simpler and looks at every transfer on every wake-up: with 1,000 targets answering one by
/// one that is a million looks a round. epoll names the ready ones. The loop owns its descriptors on one thread, so
/// the races of a multi_socket driven from somebody else's reactor do not arise.
class CurlWorker {
 public:
  explicit CurlWorker(CurlOptions options);
  ~CurlWorker();
  CurlWorker(const CurlWorker&) = delete;
  CurlWorker& operator=(const CurlWorker&) = delete;

  /// Any thread. Returns the number by which the transfer can be cancelled.
  std::uint64_t submit(HttpRequest request, std::unique_ptr<HttpWaiter> waiter);
  /// Any thread. Unknown numbers (already answered) are ignored.
  void cancel(std::uint64_t id);
  /// Not the worker thread.
  void stop();

 private:
  struct Transfer;
  struct Inbox {
    std::vector<std::unique_ptr<Transfer>> added;
    std::vector<std::uint64_t> cancelled;
    bool stopping = false;
  };

  void wake() const;
  void run();
  bool take_inbox();  ///< false: stopping
  void start(std::unique_ptr<Transfer> transfer);
  void handle_events(int timeout_ms);
  void collect_finished();
  void finish(std::unique_ptr<Transfer> transfer, Result<HttpResponse> result);
  void drop_all();
  CURL* easy_handle();
  bool configure(Transfer& transfer) const;

  /// A socket that no child inherits: as long as one held a copy, the kernel would not take a closed one off epoll_.
  static curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
  /// What curl wants of a socket. "Nothing" is only noted: curl 7.88 says it of a socket that was still connecting
  /// after it has closed it, when its number may be another thread's socket. The kernel forgets what is closed; what
  /// stays open and speaks although nobody wants to hear it is taken off by handle_events, and what is wanted again
  /// before that (a kept connection between two rounds) was never off.
  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void* known);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);

  const CurlOptions options_;
  Error broken_{ErrorCode::cancelled, "the HTTP client is stopped", false};  ///< what a refused submission gets
  int epoll_ = -1;
  int wake_ = -1;   ///< eventfd
  int timer_ = -1;  ///< timerfd: curl names spans, the kernel counts them
  CURLM* multi_ = nullptr;
  std::unordered_set<int> wanted_;  ///< the sockets curl waits for; epoll_ may hold more
  std::vector<CURL*> spare_;        ///< handles are kept: making one costs as much as a small transfer
  std::unordered_map<std::uint64_t, std::unique_ptr<Transfer>> running_;

  std::mutex mutex_;
  Inbox inbox_;                ///< under mutex_
  std::uint64_t last_id_ = 0;  ///< under mutex_
  std::mutex join_mutex_;
  std::thread thread_;
};

}  // namespace ebb
