// An engine for tests of the shim and the process fleet: does one thing wrong at a time. Ends by itself after two
// minutes, so that nothing outlives a test that was killed.
//   ebb-test-engine [port=N] [ignore_term] [exit=CODE] [family=FILE] [chatter] [sick=FILE]
// family: starts a child in a session of its own that ignores SIGTERM, and writes its pid to FILE.
// sick: answers 503 while FILE exists.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

constexpr unsigned kLongestLife = 120;

struct Wishes {
  int port = 0;
  bool ignore_term = false;
  bool chatter = false;
  int exit_code = -1;
  std::string family;
  std::string sick;
};

Wishes wishes_of(int argc, char** argv) {
  Wishes wishes;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (name == "port") wishes.port = std::atoi(value.c_str());
    if (name == "ignore_term") wishes.ignore_term = true;
    if (name == "chatter") wishes.chatter = true;
    if (name == "exit") wishes.exit_code = std::atoi(value.c_str());
    if (name == "family") wishes.family = value;
    if (name == "sick") wishes.sick = value;
  }
  return wishes;
}

void start_child(const std::string& file) {
  if (::fork() != 0) return;
  ::setsid();
  ::signal(SIGTERM, SIG_IGN);
  ::alarm(kLongestLife);
  const std::string temporary = file + ".tmp";
  if (FILE* out = std::fopen(temporary.c_str(), "w")) {
    std::fprintf(out, "%d\n", ::getpid());
    std::fclose(out);
    std::rename(temporary.c_str(), file.c_str());
  }
  while (true) ::pause();
}

void serve(int port, const std::string& sick) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 16) != 0) {
    std::perror("bind");
    std::_Exit(98);
  }
  while (true) {
    const int client = ::accept(listener, nullptr, nullptr);
    char request[1024];
    if (client < 0 || ::read(client, request, sizeof request) <= 0) continue;
    const bool well = sick.empty() || ::access(sick.c_str(), F_OK) != 0;
    const std::string_view answer = well ? "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                                         : "HTTP/1.1 503 Sick\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    if (::write(client, answer.data(), answer.size()) < 0) std::perror("write");
    ::close(client);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Wishes wishes = wishes_of(argc, argv);
  ::alarm(kLongestLife);
  ::signal(SIGPIPE, SIG_IGN);
  if (wishes.ignore_term) ::signal(SIGTERM, SIG_IGN);
  std::printf("engine is up\n");
  std::fflush(stdout);
  if (!wishes.family.empty()) start_child(wishes.family);
  if (wishes.exit_code >= 0) {
    std::printf("about to fall over\n");
    return wishes.exit_code;
  }
  while (wishes.chatter) std::puts("the same line over and over, to fill a log that must stay bounded");
  if (wishes.port > 0) serve(wishes.port, wishes.sick);
  while (true) ::pause();
}
