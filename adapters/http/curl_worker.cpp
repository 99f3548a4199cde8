#include "adapters/http/curl_worker.hpp"

#include <spdlog/fmt/fmt.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "adapters/http/curl_request.hpp"

namespace ebb {

/// One request on its way. Lives on the worker thread once it has left the inbox.
struct CurlWorker::Transfer {
  std::uint64_t id = 0;
  HttpRequest request;
  std::unique_ptr<HttpWaiter> waiter;
  HttpResponse response;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::size_t header_bytes = 0;
  std::size_t header_bytes_max = 0;
  bool body_too_long = false;
  bool head_too_long = false;
  std::array<char, CURL_ERROR_SIZE> text{};

  Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() { curl_slist_free_all(headers); }

  static std::size_t on_body(char* data, std::size_t one, std::size_t size, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    // What arrives here is decompressed already, so a bomb is cut at the same limit.
    if (size > transfer.request.body_max - transfer.response.body.size()) {
      transfer.body_too_long = true;
      return 0;
    }
    transfer.response.body.append(data, size * one);
    return size * one;
  }

  static std::size_t on_header(char* data, std::size_t one, std::size_t size, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.header_bytes += size;
    if (transfer.header_bytes > transfer.header_bytes_max) {
      transfer.head_too_long = true;
      return 0;
    }
    transfer.take_header({data, size * one});
    return size * one;
  }

  void take_header(std::string_view line) {
    if (line.starts_with("HTTP/")) return response.headers.clear();  // a 100 came before, or a trailer's owner
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    std::string name(line.substr(0, colon));
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const auto first = line.find_first_not_of(" \t", colon + 1);
    const auto last = line.find_last_not_of(" \t\r\n");
    const bool empty = first == std::string_view::npos || last < first;
    response.headers[std::move(name)] = empty ? std::string() : std::string(line.substr(first, last - first + 1));
  }
};

CurlWorker::CurlWorker(CurlOptions options) : options_(std::move(options)) {
  curl_global_init(CURL_GLOBAL_DEFAULT);  // counted, and safe from any thread since 7.84
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  multi_ = curl_multi_init();
  bool made = epoll_ >= 0 && wake_ >= 0 && timer_ >= 0 && multi_ != nullptr;
  if (made) {
    for (const int own : {wake_, timer_}) {
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.fd = own;
      made = made && epoll_ctl(epoll_, EPOLL_CTL_ADD, own, &event) == 0;
    }
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlWorker::on_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlWorker::on_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    // The default shrinks with the number of running transfers, which would close every connection between rounds.
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, options_.idle_connections_max);
  }
  try {
    if (made) thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    made = false;
  }
  if (!made) {
    broken_ = {ErrorCode::exhausted, "no descriptor or thread for the HTTP client", false};
    inbox_.stopping = true;
  }
}

CurlWorker::~CurlWorker() {
  stop();
  for (CURL* easy : spare_) curl_easy_cleanup(easy);
  if (multi_ != nullptr) curl_multi_cleanup(multi_);
  for (const int own : {epoll_, wake_, timer_}) {
    if (own >= 0) close(own);
  }
  curl_global_cleanup();
}

std::uint64_t CurlWorker::submit(HttpRequest request, std::unique_ptr<HttpWaiter> waiter) {
  auto transfer = std::make_unique<Transfer>();
  transfer->request = std::move(request);
  transfer->waiter = std::move(waiter);
  transfer->header_bytes_max = options_.header_bytes_max;
  std::uint64_t id = 0;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    id = ++last_id_;
    transfer->id = id;
    if (!inbox_.stopping) {
      first = inbox_.added.empty();
      inbox_.added.push_back(std::move(transfer));
    }
  }
  if (transfer != nullptr) {
    transfer->waiter->complete(broken_);
  } else if (first) {
    wake();
  }
  return id;
}

void CurlWorker::cancel(std::uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    if (inbox_.stopping) return;
    inbox_.cancelled.push_back(id);
  }
  wake();
}

void CurlWorker::stop() {
  {
    const std::lock_guard lock(mutex_);
    inbox_.stopping = true;
  }
  const std::lock_guard joining(join_mutex_);
  if (!thread_.joinable()) return;
  wake();
  thread_.join();
}

void CurlWorker::wake() const {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the thread is awake anyway.
  [[maybe_unused]] const auto written = write(wake_, &one, sizeof one);
}

void CurlWorker::run() {
  while (take_inbox()) {
    handle_events(-1);
    collect_finished();
  }
  drop_all();
}

bool CurlWorker::take_inbox() {
  Inbox taken;
  {
    const std::lock_guard lock(mutex_);
    if (inbox_.stopping) return false;
    std::swap(taken, inbox_);
  }
  for (auto& transfer : taken.added) start(std::move(transfer));
  for (const std::uint64_t id : taken.cancelled) {
    const auto found = running_.find(id);
    if (found == running_.end()) continue;
    std::unique_ptr<Transfer> transfer = std::move(found->second);
    running_.erase(found);
    finish(std::move(transfer), Error{ErrorCode::cancelled, "the request was cancelled", false});
  }
  return true;
}

CURL* CurlWorker::easy_handle() {
  if (spare_.empty()) return curl_easy_init();
  CURL* easy = spare_.back();
  spare_.pop_back();
  return easy;
}

bool CurlWorker::configure(Transfer& transfer) const {
  CURL* easy = transfer.easy;
  const HttpRequest& request = transfer.request;
  for (const auto& [name, value] : request.headers) {
    if (!printable(name) || !printable(value)) return false;
    // "Name;" is curl's way of writing a header without a value.
    const std::string line = value.empty() ? name + ";" : name + ": " + value;
    transfer.headers = curl_slist_append(transfer.headers, line.c_str());
  }
  if (!request.session_token.empty()) {
    if (!printable(request.session_token)) return false;
    const std::string line = "x-amz-security-token: " + request.session_token;
    transfer.headers = curl_slist_append(transfer.headers, line.c_str());
  }
  // No extra round trip before a body. A signature would cover it although it is not sent.
  if (request.sigv4.empty()) transfer.headers = curl_slist_append(transfer.headers, "Expect:");
  const auto total_ms = static_cast<long>(std::max<Duration::rep>(request.timeout.count(), 1));
  const auto connect_ms = static_cast<long>(std::max<Duration::rep>(options_.connect_timeout.count(), 1));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &CurlWorker::open_socket);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // a resolver that hangs must not hold the other transfers
  // curl looks at every name it remembers whenever a transfer ends: with thousands of targets that was most of a
  // round. Connections are kept, so that names are seldom asked for, and then the answer is never an old one.
  curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, total_ms);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, std::min(total_ms, connect_ms));
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  curl_easy_setopt(easy, CURLOPT_USERAGENT, options_.user_agent.c_str());
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.text.data());
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.headers);
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  if (is_loopback(request.url)) curl_easy_setopt(easy, CURLOPT_PROXY, "");
  if (!request.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, request.ca_file.c_str());
  authenticate(easy, request);
  const bool sends_body =
      !request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (sends_body) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
  }
  // On a kept connection that turns out to be closed curl sends a request again, also one that may have arrived.
  if (request.once) curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  if (request.method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  const bool plain = request.method == "HEAD" || (request.method == "GET" && !sends_body);
  if (!plain) curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  return printable(request.method) && printable(request.url);
}

void CurlWorker::start(std::unique_ptr<Transfer> transfer) {
  transfer->easy = easy_handle();
  if (transfer->easy == nullptr) {
    transfer->waiter->complete(Error{ErrorCode::exhausted, "no memory for a transfer", true});
    return;
  }
  if (!configure(*transfer)) {
    const Error error{ErrorCode::invalid, "a header, the method or the URL contains a line break", false};
    return finish(std::move(transfer), error);
  }
  const std::uint64_t id = transfer->id;
  CURL* easy = transfer->easy;
  running_[id] = std::move(transfer);
  curl_multi_add_handle(multi_, easy);
}

void CurlWorker::handle_events(int timeout_ms) {
  std::array<epoll_event, 256> events{};
  const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout_ms);
  const std::span named(events.data(), static_cast<std::size_t>(std::max(count, 0)));
  // First, because acting closes sockets: up to here whatever the kernel names is open.
  for (epoll_event& event : named) {
    const int fd = event.data.fd;
    if (fd != wake_ && fd != timer_ && !wanted_.contains(fd)) epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, &event);
  }
  int still_running = 0;
  for (const epoll_event& event : named) {
    if (event.data.fd == wake_ || event.data.fd == timer_) {
      std::uint64_t ignored = 0;
      [[maybe_unused]] const auto drained = read(event.data.fd, &ignored, sizeof ignored);
      if (event.data.fd == timer_) curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &still_running);
      continue;
    }
    int what = 0;
    if (event.events & EPOLLIN) what |= CURL_CSELECT_IN;
    if (event.events & EPOLLOUT) what |= CURL_CSELECT_OUT;
    if (event.events & (EPOLLERR | EPOLLHUP)) what |= CURL_CSELECT_ERR;
    // The descriptor may have been closed by an event before it in this batch; curl knows, and ignores it.
    curl_multi_socket_action(multi_, event.data.fd, what, &still_running);
  }
}

void CurlWorker::collect_finished() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    Transfer* raw = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &raw);
    const auto found = running_.find(raw->id);
    std::unique_ptr<Transfer> transfer = std::move(found->second);
    running_.erase(found);
    if (transfer->body_too_long || transfer->head_too_long) {
      const std::size_t limit = transfer->body_too_long ? transfer->request.body_max : transfer->header_bytes_max;
      const char* part = transfer->body_too_long ? "body" : "head";
      const Error error{ErrorCode::malformed, fmt::format("the answer's {} is longer than {} bytes", part, limit),
                        false};
      finish(std::move(transfer), error);
    } else if (code != CURLE_OK) {
      Error error = curl_error(code, transfer->text.data(), transfer->request.once);
      finish(std::move(transfer), std::move(error));
    } else {
      long status = 0;
      curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
      transfer->response.status = static_cast<int>(status);
      HttpResponse response = std::move(transfer->response);
      finish(std::move(transfer), std::move(response));
    }
  }
}

void CurlWorker::finish(std::unique_ptr<Transfer> transfer, Result<HttpResponse> result) {
  curl_multi_remove_handle(multi_, transfer->easy);
  // Keeps nothing of the request: neither its secrets nor a pointer into the transfer.
  curl_easy_reset(transfer->easy);
  spare_.push_back(transfer->easy);
  transfer->easy = nullptr;
  transfer->waiter->complete(std::move(result));
}

void CurlWorker::drop_all() {
  std::unordered_map<std::uint64_t, std::unique_ptr<Transfer>> running = std::move(running_);
  running_.clear();
  for (auto& [id, transfer] : running) finish(std::move(transfer), broken_);
  Inbox left;
  {
    const std::lock_guard lock(mutex_);
    std::swap(left.added, inbox_.added);
  }
  for (auto& transfer : left.added) transfer->waiter->complete(broken_);
}

curl_socket_t CurlWorker::open_socket(void*, curlsocktype, curl_sockaddr* address) {
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int CurlWorker::on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
  auto& worker = *static_cast<CurlWorker*>(self);
  if (what == CURL_POLL_REMOVE) {
    worker.wanted_.erase(socket);
    return 0;
  }
  worker.wanted_.insert(socket);
  epoll_event event{};
  event.data.fd = socket;
  if (what != CURL_POLL_OUT) event.events |= EPOLLIN;
  if (what != CURL_POLL_IN) event.events |= EPOLLOUT;
  if (epoll_ctl(worker.epoll_, EPOLL_CTL_MOD, socket, &event) == 0) return 0;
  return epoll_ctl(worker.epoll_, EPOLL_CTL_ADD, socket, &event) == 0 ? 0 : -1;
}

int CurlWorker::on_timer(CURLM*, long timeout_ms, void* self) {
  itimerspec when{};  // all zero disarms
  if (timeout_ms == 0) when.it_value.tv_nsec = 1;
  if (timeout_ms > 0) {
    when.it_value.tv_sec = timeout_ms / 1'000;
    when.it_value.tv_nsec = (timeout_ms % 1'000) * 1'000'000;
  }
  return timerfd_settime(static_cast<CurlWorker*>(self)->timer_, 0, &when, nullptr);
}

}  // namespace ebb
