#include "tests/bench/file_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace ebb::bench {
namespace {

namespace fs = std::filesystem;

bool send_text(int link, const std::string& text, int flags) {
  return ::send(link, text.data(), text.size(), flags | MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

std::string head(const char* status, std::uint64_t length) {
  return std::string("HTTP/1.1 ") + status + "\r\nETag: \"1\"\r\nContent-Length: " + std::to_string(length) +
         "\r\n\r\n";
}

/// Every file below the prefix; a benchmark has fewer than a page of them.
std::string listing(const std::string& root, const std::string& target) {
  std::string prefix = target.substr(target.find("prefix=") + 7);
  for (std::size_t at = prefix.find("%2F"); at != std::string::npos; at = prefix.find("%2F"))
    prefix.replace(at, 3, "/");
  std::string rows;
  for (const auto& entry : fs::recursive_directory_iterator(root + "/" + prefix)) {
    if (!entry.is_regular_file()) continue;
    rows += "<Contents><Key>" + entry.path().lexically_relative(root).string() + "</Key><Size>" +
            std::to_string(entry.file_size()) + "</Size><ETag>\"1\"</ETag></Contents>";
  }
  return "<ListBucketResult>" + rows + "</ListBucketResult>";
}

bool send_file(int link, const std::string& path, const std::string& request) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat now {};
  if (file < 0 || ::fstat(file, &now) != 0 || !S_ISREG(now.st_mode)) {
    if (file >= 0) ::close(file);
    return send_text(link, head("404 Not Found", 0), 0);
  }
  off_t at = 0;
  off_t end = now.st_size;
  const std::size_t range = request.find("Range: bytes=");
  if (range != std::string::npos) {
    char* rest = nullptr;
    at = std::strtoll(request.c_str() + range + 13, &rest, 10);
    end = std::strtoll(rest + 1, nullptr, 10) + 1;
  }
  const char* status = range == std::string::npos ? "200 OK" : "206 Partial Content";
  bool well = send_text(link, head(status, static_cast<std::uint64_t>(end - at)), MSG_MORE);
  while (well && at < end) well = ::sendfile(link, file, &at, static_cast<std::size_t>(end - at)) > 0;
  ::close(file);
  return well;
}

void serve(int link, const std::string& root) {
  const int yes = 1;
  ::setsockopt(link, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  std::string buffer;
  char piece[8192];
  bool well = true;
  while (well) {
    const std::size_t end = buffer.find("\r\n\r\n");
    if (end == std::string::npos) {
      const ssize_t got = ::recv(link, piece, sizeof piece, 0);
      if (got <= 0) break;
      buffer.append(piece, static_cast<std::size_t>(got));
      continue;
    }
    const std::string request = buffer.substr(0, end);
    buffer.erase(0, end + 4);
    const std::size_t from = request.find(' ') + 1;
    std::string target = request.substr(from, request.find(' ', from) - from);
    if (target.starts_with("/bucket")) target.erase(0, 7);
    if (target.find("list-type=2") != std::string::npos) {
      const std::string body = listing(root, target);
      well = send_text(link, head("200 OK", body.size()) + body, 0);
    } else {
      well = send_file(link, root + target, request);
    }
  }
  ::close(link);
}

[[noreturn]] void run(int listener, const std::string& root) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  while (true) {
    const int link = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (link < 0) ::_exit(1);
    // tidy-allow(detached): the process is killed as a whole; there is nobody to join.
    std::thread(serve, link, root).detach();
  }
}

}  // namespace

FileServer::FileServer(const std::string& root) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, plain, size) != 0 || ::listen(listener, 128) != 0 || ::getsockname(listener, plain, &size) != 0)
    throw std::runtime_error("cannot listen");
  port_ = ntohs(address.sin_port);
  child_ = ::fork();
  if (child_ == 0) run(listener, root);
  ::close(listener);
  if (child_ < 0) throw std::runtime_error("cannot fork");
}

FileServer::~FileServer() {
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
}

}  // namespace ebb::bench
