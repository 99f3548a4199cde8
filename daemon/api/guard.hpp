// Who may do what.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "daemon/api/http.hpp"

namespace ebb {

/// What a route needs. `operate` includes all; `publish` is of one job or of all, and includes to `follow` it, which
/// `read` does too.
enum class Scope { open, read, follow, publish, operate };

/// Secrets by reference, read again when their file has changed: a rotated token needs no reload. Control thread.
class Secrets {
 public:
  /// The secret as it stands now; empty when it cannot be read, and then nothing matches it.
  const std::string& read(const SecretRef& ref);

 private:
  struct Kept {
    std::filesystem::file_time_type written{};
    std::uintmax_t size = 0;
    std::string text;
  };
  std::map<std::string, Kept> kept_;
};

/// Compares every byte whatever the first difference, so that the time taken tells nothing about the secret but its
/// length.
bool same_secret(const std::string& given, const std::string& secret);

/// Tokens, and without tokens the fence around loopback: a web page that somebody on this host has open may reach our
/// port too, so the Host must be ours (DNS rebinding), writes must be JSON (which a page cannot send across origins
/// without being asked first) and an Origin must be our own.
class Guard {
 public:
  /// Nothing when the request may pass, or the answer that refuses it. `who`: the token's name, for the record. `job`:
  /// whom it is about, for the scopes of one job.
  std::optional<Response> refuse(const Request& request, Scope needed, const std::string& job, const ApiConfig& config,
                                 std::string& who);

 private:
  std::optional<Response> check_token(const Request& request, Scope needed, const std::string& job,
                                      const ApiConfig& config, std::string& who);
  Secrets secrets_;
};

}  // namespace ebb
