// One question to the daemon, and what its answer means for the exit status.
#pragma once

#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "adapters/http/curl_client.hpp"
#include "daemon/model/time.hpp"

namespace ebb::ctl {

inline constexpr int kOk = 0;
inline constexpr int kRefused = 1;  ///< the daemon says no
inline constexpr int kUsage = 2;
inline constexpr int kUnreachable = 3;
inline constexpr int kUnauthorised = 4;
inline constexpr int kUnhealthy = 5;  ///< of `status`

struct Reply {
  int exit = kOk;
  nlohmann::json body;
  std::string problem;  ///< when exit is not 0: what happened and what to do next
};

class Client {
 public:
  /// `token_file`: empty, none. A file that cannot be read makes every answer `kUnauthorised`.
  Client(std::string url, std::string token_file);

  Reply get(const std::string& path) { return send("GET", path, nlohmann::json()); }
  /// A null body is none.
  Reply send(const std::string& method, const std::string& path, const nlohmann::json& body);

  /// Waits without blocking signals.
  void pause(Duration span);

 private:
  Reply understood(const HttpResponse& answer) const;

  std::string url_;
  std::string token_;
  std::string token_problem_;
  boost::asio::io_context io_{1};
  CurlClient http_{{.workers = 1}};
};

/// For a path's segment or a query's value.
std::string percent_encoded(const std::string& text);

}  // namespace ebb::ctl
