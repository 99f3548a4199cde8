#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "config/config.hpp"
#include "config/load.hpp"
#include "daemon/ports/control.hpp"

namespace ebb {

/// The configuration in force. A reload replaces it as a whole or leaves it as it is. Control thread; reads a small
/// file.
class LiveConfig {
 public:
  /// The first load. On problems there is no object: the daemon does not start.
  static Result<std::unique_ptr<LiveConfig>> open(const std::string& path);

  [[nodiscard]] std::shared_ptr<const Config> current() const { return current_; }
  [[nodiscard]] const ReloadStatus& status() const { return status_; }

  /// Reads the file again. What a running daemon cannot change (state_dir, api.listen, ledger.path) is refused too.
  ReloadStatus reload(TimePoint now);
  /// True once after the file was replaced or written.
  bool file_changed();

 private:
  struct Stamp {
    std::filesystem::file_time_type written{};
    std::uintmax_t size = 0;
    std::uint64_t inode = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  explicit LiveConfig(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] Stamp stamp() const;

  std::string path_;
  std::shared_ptr<const Config> current_;
  ReloadStatus status_;
  Stamp seen_;
};

}  // namespace ebb
