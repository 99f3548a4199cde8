// Serves a directory over HTTP/1.1 with ranges and S3's listing, by sendfile, a thread a connection: as fast as
// loopback goes, so that a benchmark measures its client.
#pragma once

#include <sys/types.h>
#include <string>

namespace ebb::bench {

/// In a child process, so that its threads are not the client's.
class FileServer {
 public:
  explicit FileServer(const std::string& root);
  ~FileServer();
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  pid_t child_ = -1;
  unsigned port_ = 0;
};

}  // namespace ebb::bench
