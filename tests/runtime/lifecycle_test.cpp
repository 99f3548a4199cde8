#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <spdlog/spdlog.h>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "daemon/runtime/logging.hpp"
#include "daemon/runtime/process_lock.hpp"
#include "daemon/runtime/sd_notify.hpp"
#include "tests/runtime/child.hpp"
#include "tests/runtime/temp_dir.hpp"

namespace ebb {
namespace {

using test::Child;
using test::TempDir;

const std::string kChild = std::string(EBB_BIN_DIR) + "/runtime_child";

/// The other end of NOTIFY_SOCKET: a bound datagram socket. An address that begins with "@" is abstract.
class Systemd {
 public:
  explicit Systemd(const std::string& address) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address.data(), address.size());
    if (address[0] == '@') name.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    bound_ = ::bind(socket_, reinterpret_cast<sockaddr*>(&name), length) == 0;
    ::setenv("NOTIFY_SOCKET", address.c_str(), 1);
  }
  ~Systemd() {
    ::close(socket_);
    ::unsetenv("NOTIFY_SOCKET");
  }
  [[nodiscard]] bool bound() const { return bound_; }
  /// The next message; "nothing" when there is none (local datagrams arrive before send returns).
  [[nodiscard]] std::string next() const {
    char bytes[1024];
    const ssize_t n = ::recv(socket_, bytes, sizeof bytes, MSG_DONTWAIT);
    return n < 0 ? "nothing" : std::string(bytes, static_cast<std::size_t>(n));
  }

 private:
  int socket_;
  bool bound_ = false;
};

TEST(SdNotify, SpeaksTheProtocolOverAPathAndAnAbstractAddress) {
  const TempDir dir;
  for (const std::string& address : {dir / "notify", "@ebb-test-" + std::to_string(::getpid())}) {
    const Systemd systemd(address);
    ASSERT_TRUE(systemd.bound());
    SdNotify notify;
    notify.ready();
    EXPECT_EQ(systemd.next(), "READY=1");
    notify.status("blind: 3 of 5 targets\nREADY=1");
    EXPECT_EQ(systemd.next(), "STATUS=blind: 3 of 5 targets READY=1") << "a line break would be a message of its own";
    notify.watchdog();
    EXPECT_EQ(systemd.next(), "WATCHDOG=1");
    notify.stopping();
    EXPECT_EQ(systemd.next(), "STOPPING=1");
    EXPECT_EQ(systemd.next(), "nothing");
  }
}

TEST(SdNotify, AReloadCarriesTheMonotonicTimeOfNow) {
  const TempDir dir;
  const Systemd systemd(dir / "notify");
  SdNotify notify;
  const auto now_us = [] {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
  };
  const std::int64_t before = now_us();
  notify.reloading();
  const std::string message = systemd.next();
  const std::string head = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_TRUE(message.starts_with(head)) << message;
  const std::int64_t said = std::stoll(message.substr(head.size()));
  EXPECT_GE(said, before);
  EXPECT_LE(said, now_us());
}

TEST(SdNotify, TakesItsVariablesOutOfTheEnvironment) {
  const TempDir dir;
  const Systemd systemd(dir / "notify");
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  const SdNotify notify;
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
    EXPECT_EQ(std::getenv(name), nullptr) << name;
  EXPECT_EQ(notify.watchdog_interval(), Duration{15'000}) << "fed twice as often as asked";
}

TEST(SdNotify, IsWatchedOnlyWhenItIsMeant) {
  struct Row {
    int line;
    const char* usec;
    std::string pid;
    std::optional<Duration> interval;
  };
  const std::string us = std::to_string(::getpid());
  const std::string other = std::to_string(::getppid());
  for (const Row& row : {Row{__LINE__, "2000000", "", Duration{1'000}}, Row{__LINE__, "2000000", us, Duration{1'000}},
                         Row{__LINE__, "2000000", other, std::nullopt}, Row{__LINE__, "0", us, std::nullopt},
                         Row{__LINE__, "-5", us, std::nullopt}, Row{__LINE__, "soon", us, std::nullopt},
                         Row{__LINE__, "500", us, Duration{1}}}) {
    ::setenv("WATCHDOG_USEC", row.usec, 1);
    if (!row.pid.empty()) ::setenv("WATCHDOG_PID", row.pid.c_str(), 1);
    EXPECT_EQ(SdNotify().watchdog_interval(), row.interval) << "row of line " << row.line;
  }
}

TEST(SdNotify, DoesNothingWithoutASocketOrWithAnAddressThatIsNone) {
  const std::string too_long = "/" + std::string(200, 'x');
  for (const std::string& address :
       {std::string(), std::string("relative"), std::string("vsock:2:1"), too_long, std::string("/nobody/listens")}) {
    ::setenv("NOTIFY_SOCKET", address.c_str(), 1);
    SdNotify notify;
    notify.ready();
    notify.watchdog();
  }
}

TEST(SdNotify, AChangeOfStateIsNotLostWhileNobodyReads) {
  const TempDir dir;
  const Systemd systemd(dir / "notify");
  SdNotify notify;
  // Fills the receiver's queue; none of these may block.
  for (int i = 0; i < 10'000; ++i) notify.watchdog();
  notify.ready();
  while (systemd.next() == "WATCHDOG=1") {
  }
  notify.watchdog();
  EXPECT_EQ(systemd.next(), "READY=1\nWATCHDOG=1");
}

TEST(ProcessLock, ASecondProcessIsToldWhoHoldsIt) {
  const TempDir dir;
  Child holder({kChild, "lock", dir.path()});
  ASSERT_EQ(holder.line(), "held");
  const auto mine = ProcessLock::take(dir.path());
  ASSERT_FALSE(mine.ok());
  EXPECT_EQ(mine.error().code, ErrorCode::conflict);
  EXPECT_NE(mine.error().what.find("process " + std::to_string(holder.pid())), std::string::npos) << mine.error().what;
  EXPECT_NE(mine.error().what.find(dir.path()), std::string::npos);
}

TEST(ProcessLock, IsFreeAgainHoweverItsHolderEnds) {
  const TempDir dir;
  Child holder({kChild, "lock", dir.path()});
  ASSERT_EQ(holder.line(), "held");
  holder.end(SIGKILL);
  EXPECT_TRUE(ProcessLock::take(dir.path()).ok()) << "the file with the dead process's pid means nothing";
}

TEST(ProcessLock, MakesTheStateDirectoryForUsAlone) {
  const TempDir dir;
  const std::string state = dir / "a/b";
  ASSERT_TRUE(ProcessLock::take(state).ok());
  struct stat info {};
  ASSERT_EQ(::stat(state.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0700u);
}

TEST(ProcessLock, SaysWhyItCannotMakeTheDirectory) {
  const TempDir dir;
  std::ofstream(dir / "file") << "x";
  const auto lock = ProcessLock::take(dir / "file/below");
  ASSERT_FALSE(lock.ok());
  EXPECT_NE(lock.error().what.find("Not a directory"), std::string::npos) << lock.error().what;
}

TEST(Signals, TheFirstStopsTheSecondEndsAtOnce) {
  for (const int number : {SIGTERM, SIGINT}) {
    Child child({kChild, "signals"});
    ASSERT_EQ(child.line(), "ready");
    child.signal(number);
    ASSERT_EQ(child.line(), "stop");
    const int status = child.end(number);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 1);
  }
}

TEST(Signals, HangUpReloadsAndBrokenPipesAreNothing) {
  Child child({kChild, "signals"});
  ASSERT_EQ(child.line(), "ready");
  child.signal(SIGPIPE);
  child.signal(SIGXFSZ);
  child.signal(SIGHUP);
  EXPECT_EQ(child.line(), "reload");
  child.signal(SIGHUP);
  EXPECT_EQ(child.line(), "reload") << "it goes on listening";
  child.signal(SIGTERM);
  EXPECT_EQ(child.line(), "stop") << "a reload is no first stop";
}

/// What start_logging writes to stderr for one message; `journal`: stderr is named as the journal's stream.
std::string logged(const std::string& message, bool journal) {
  testing::internal::CaptureStderr();
  struct stat file {};
  ::fstat(STDERR_FILENO, &file);
  const std::string here = std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino);
  ::setenv("JOURNAL_STREAM", journal ? here.c_str() : "1:2", 1);
  start_logging("info");
  ::unsetenv("JOURNAL_STREAM");
  spdlog::warn("{}", message);
  spdlog::debug("too fine");
  return testing::internal::GetCapturedStderr();
}

TEST(Logging, ALineStaysALine) {
  const std::string line = logged("what=\"a\nb\x1b[31m\"", false);
  EXPECT_NE(line.find(" level=warning what=\"a\\nb\\x1b[31m\"\n"), std::string::npos) << line;
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
}

TEST(Logging, OnlyTheJournalGetsPrioritiesAndNoTime) {
  EXPECT_EQ(logged("x=1", true), "<4>level=warning x=1\n");
  EXPECT_EQ(logged("x=1", false)[0], '2') << "the time, since stderr is not that stream";
}

}  // namespace
}  // namespace ebb
