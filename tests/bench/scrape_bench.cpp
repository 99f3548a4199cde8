// A thousand and more live targets a round through CurlClient and ScrapeSource. The servers run in a child process, so
// that the CPU seconds printed are the scraper's alone.
//
//   scrape_bench [TARGETS [ROUNDS]]         both, prints one line of JSON; without TARGETS 1,000 and then 5,000
//   scrape_bench serve TARGETS              servers only; prints their ports, ends with its standard input
//   scrape_bench measure ROUNDS PORT...     scraper only
#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "adapters/exposition/scrape_source.hpp"
#include "adapters/http/curl_client.hpp"
#include "tests/bench/vllm_page.hpp"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr int kWarmUpRounds = 2;  // connections are made in the first one

class WallClock : public ebb::Clock {
 public:
  [[nodiscard]] ebb::TimePoint now() const override {
    return std::chrono::time_point_cast<ebb::Duration>(std::chrono::system_clock::now());
  }
  ebb::awaitable<void> sleep_until(ebb::TimePoint) override { co_return; }
};

asio::awaitable<void> serve(tcp::socket socket, std::shared_ptr<const std::string> answer) {
  std::string request;
  while (true) {
    const auto [failure, size] = co_await asio::async_read_until(socket, asio::dynamic_buffer(request), "\r\n\r\n",
                                                                 asio::as_tuple(asio::use_awaitable));
    if (failure) co_return;
    request.erase(0, size);
    const auto [broken, sent] =
        co_await asio::async_write(socket, asio::buffer(*answer), asio::as_tuple(asio::use_awaitable));
    if (broken) co_return;
  }
}

asio::awaitable<void> listen(tcp::acceptor& acceptor, std::shared_ptr<const std::string> answer) {
  while (true) {
    tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
    asio::co_spawn(acceptor.get_executor(), serve(std::move(socket), answer), [](std::exception_ptr) {});
  }
}

/// Listens on as many ports, writes them to `out`, one a line, and serves until `in` ends.
void run_servers(int targets, int in, int out) {
  asio::io_context io;
  std::vector<std::unique_ptr<tcp::acceptor>> acceptors;
  std::string ports;
  for (int i = 0; i < targets; ++i) {
    acceptors.push_back(std::make_unique<tcp::acceptor>(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)));
    const std::string page = ebb::bench::vllm_page(1, i);
    auto answer = std::make_shared<const std::string>(
        fmt::format("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n{}",
                    page.size(), page));
    asio::co_spawn(io, listen(*acceptors.back(), answer), [](std::exception_ptr) {});
    ports += std::to_string(acceptors.back()->local_endpoint().port()) + "\n";
  }
  ports += "\n";
  asio::posix::stream_descriptor output(io, out);
  asio::write(output, asio::buffer(ports));
  asio::posix::stream_descriptor input(io, in);
  char byte = 0;
  input.async_read_some(asio::buffer(&byte, 1), [&](auto, auto) { io.stop(); });
  io.run();
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](timeval t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

asio::awaitable<void> rounds(ebb::ScrapeSource& source, const WallClock& clock, int count, bool& complete) {
  for (int i = 0; i < count; ++i) {
    const ebb::TimePoint deadline = clock.now() + std::chrono::seconds(10);
    std::vector<ebb::Target> none;
    const ebb::WorkloadSeen seen = co_await source.sample(std::move(none), deadline);
    if (seen.signals.at("in_flight").value.known()) continue;
    complete = false;
    std::fprintf(stderr, "%s\n", seen.signals.at("in_flight").value.missing()->why.c_str());
  }
}

int measure(int count, const std::vector<std::string>& ports) {
  ebb::SourceConfig config;
  config.timeout = std::chrono::seconds(10);
  config.frozen_after = std::chrono::hours(1);  // these engines make no tokens
  for (const std::string& port : ports) config.targets.push_back("http://127.0.0.1:" + port);
  const WallClock clock;
  asio::io_context io;
  ebb::CurlClient client;
  ebb::ScrapeSource source(config, client, clock);
  bool complete = true;
  const auto run = [&](int n) {
    asio::co_spawn(io, rounds(source, clock, n, complete), [](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    });
    io.restart();
    io.run();
  };
  run(kWarmUpRounds);
  const double cpu = cpu_seconds();
  const ebb::TimePoint began = clock.now();
  run(count);
  const double wall_s = std::chrono::duration<double>(clock.now() - began).count() / count;
  const double cpu_s = (cpu_seconds() - cpu) / count;
  client.stop();
  fmt::print(
      "{{\"targets\": {}, \"rounds\": {}, \"complete\": {}, \"wall_s_per_round\": {:.4f}, \"cpu_s_per_round\": "
      "{:.4f}}}\n",
      ports.size(), count, complete, wall_s, cpu_s);
  return complete ? 0 : 1;
}

int both(int targets, int count) {
  int to_child[2];
  int from_child[2];
  if (pipe(to_child) != 0 || pipe(from_child) != 0) return 1;
  const pid_t child = fork();
  if (child == 0) {
    close(to_child[1]);
    close(from_child[0]);
    run_servers(targets, to_child[0], from_child[1]);
    _exit(0);
  }
  close(to_child[0]);
  close(from_child[1]);
  std::vector<std::string> ports;
  FILE* lines = fdopen(from_child[0], "r");
  char line[32];
  while (std::fgets(line, sizeof line, lines) != nullptr && line[0] != '\n') {
    ports.emplace_back(line, std::string_view(line).find('\n'));
  }
  std::fclose(lines);
  const int result = measure(count, ports);
  close(to_child[1]);
  waitpid(child, nullptr, 0);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;  // 1,000 connections do not fit into the usual 1,024
  setrlimit(RLIMIT_NOFILE, &files);
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 2 && words[0] == "serve") {
    run_servers(std::atoi(words[1].c_str()), STDIN_FILENO, STDOUT_FILENO);
    return 0;
  }
  if (words.size() > 2 && words[0] == "measure") {
    return measure(std::atoi(words[1].c_str()), {words.begin() + 2, words.end()});
  }
  const int count = words.size() < 2 ? 20 : std::atoi(words[1].c_str());
  if (!words.empty()) return both(std::atoi(words[0].c_str()), count);
  // Five times the targets are five times the work, unless something looks at all of them for each of them.
  return std::max(both(1'000, count), both(5'000, count / 4));
}
