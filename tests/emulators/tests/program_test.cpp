// The program itself: its port opens only when it is up, and SIGTERM drains it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "tests/emulators/common/clock.hpp"
#include "tests/emulators/tests/harness.hpp"

namespace ebb::emulator {
namespace {

/// One ebb-engine process, its standard error in a pipe. Ended with the object.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    arguments.insert(arguments.begin(), std::string(EBB_BIN_DIR) + "/ebb-engine");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ends[1], STDERR_FILENO);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    out_ = ends[0];
  }
  ~Program() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    ::close(out_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Reads until `text` was written; the program ending counts as having written nothing more.
  bool says(const std::string& text) {
    char piece[512];
    while (said_.find(text) == std::string::npos) {
      const auto n = ::read(out_, piece, sizeof piece);
      if (n <= 0) return false;
      said_.append(piece, static_cast<std::size_t>(n));
    }
    return true;
  }
  HostPort at() {
    HostPort to;
    to.host = "127.0.0.1";
    if (!says("\n") || !says("ready on http://127.0.0.1:") || !says(" model=")) return to;
    const std::size_t begin = said_.find("ready on http://127.0.0.1:") + 26;
    to.port = static_cast<std::uint16_t>(std::stoi(said_.substr(begin)));
    return to;
  }
  void signal(int number) const { ::kill(pid_, number); }
  int wait() {
    int status = -1;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }
  [[nodiscard]] const std::string& said() const { return said_; }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  std::string said_;
};

/// Starts a long answer, tells the program twice to leave, and reads the answer to its end.
awaitable<void> stream_through_drain(HostPort at, const Program& program, std::string& text) {
  HttpCall call(co_await asio::this_coro::executor);
  call.limit(20);
  const Status connected = co_await call.connect(at);
  EXPECT_TRUE(connected);
  Headers headers;
  std::string body = R"({"model":"stand-in","prompt":"x","max_tokens":60,"stream":true})";
  const auto head = co_await call.ask("POST", "/v1/completions", headers, std::move(body));
  EXPECT_TRUE(head);
  program.signal(SIGTERM);
  const auto first = co_await call.read_some();
  if (first) text += *first;
  program.signal(SIGTERM);
  const auto rest = co_await call.read_all(1 << 20);
  EXPECT_TRUE(rest);
  if (rest) text += *rest;
}

TEST(EngineProgram, SaysThatItIsAStandInAndFinishesItsStreamsOnSigterm) {
  Program program({"--port", "0", "--startup", "100ms", "--decode-speed", "100"});
  const HostPort at = program.at();
  ASSERT_NE(at.port, 0);
  EXPECT_THAT(program.said(), ::testing::HasSubstr("stand-in engine: no GPU, no model; speeds are configured"));
  asio::io_context io;
  std::string text;
  run_until_done(io, stream_through_drain(at, program, text));
  EXPECT_TRUE(text.ends_with("data: [DONE]\n\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("\"finish_reason\":\"length\""));
  EXPECT_EQ(program.wait(), 0);
}

TEST(EngineProgram, FailsToStartWhenTold) {
  Program program({"--port", "0", "--startup", "0s", "--fault", "fail-start"});
  const int status = program.wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

TEST(EngineProgram, DiesWhenTold) {
  Program program({"--port", "0", "--startup", "0s", "--fault", "die-after=50ms"});
  const int status = program.wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

TEST(EngineProgram, RefusesOptionsItDoesNotUnderstand) {
  for (const char* bad : {"--fault=wat", "--startup=soon", "--nonsense"}) {
    Program program({"--port", "0", bad});
    const int status = program.wait();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 2) << bad;
  }
}

}  // namespace
}  // namespace ebb::emulator
