#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "config/config.hpp"
#include "config/load.hpp"
#include "daemon/ports/control.hpp"

namespace ebb {

/// The configuration in force. A reload replaces it as a whole or leaves it as it is. Control thread; reads a small
/// file and blocks for as long as that takes.
class LiveConfig {
 public:
  /// The first load. On problems there is no object: the daemon does not start.
  static Result<std::unique_ptr<LiveConfig>> open(const std::string& path);

  [[nodiscard]] std::shared_ptr<const Config> current() const { return current_; }
  [[nodiscard]] const ReloadStatus& status() const { return status_; }

  /// Reads the file again. Refused as well is what this process or a running replica holds on to, so that what is shown
  /// is always what is in force: state_dir, the listener and its limits, the ledger's options, and of a fleet that is
  /// there already its pool, its directory and the GPUs it has. More GPUs and more fleets are welcome.
  ReloadStatus reload(TimePoint now);
  /// True once after the file was replaced or written. A file that is gone is no change: an editor may be saving it.
  bool file_changed();

 private:
  struct Stamp {
    std::int64_t written_ns = 0;
    std::uint64_t size = 0;
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
