#include "daemon/runtime/live_config.hpp"

#include <sys/stat.h>

#include <algorithm>

namespace ebb {
namespace {

/// What is bound to the running process: sockets, locks, and directories in use.
std::string immutable_changes(const Config& before, const Config& after, const std::string& path) {
  std::string out;
  const auto must_stay = [&](const char* option, const std::string& was, const std::string& is) {
    if (was != is)
      out +=
          path + ":1:1: '" + option + "' cannot change while the daemon runs (" + was + " to " + is + "): restart it\n";
  };
  must_stay("state_dir", before.state_dir, after.state_dir);
  must_stay("api.listen", before.api.listen, after.api.listen);
  must_stay("ledger.path", before.ledger.path, after.ledger.path);
  for (const FleetConfig& fleet : after.fleets) {
    const auto old = std::find_if(before.fleets.begin(), before.fleets.end(),
                                  [&](const FleetConfig& f) { return f.name == fleet.name; });
    if (old != before.fleets.end()) must_stay("fleets[].directory", old->directory, fleet.directory);
  }
  return out;
}

}  // namespace

LiveConfig::Stamp LiveConfig::stamp() const {
  Stamp out;
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) return out;
  std::error_code ignored;
  out.written = std::filesystem::last_write_time(path_, ignored);
  out.size = static_cast<std::uintmax_t>(info.st_size);
  out.inode = info.st_ino;
  return out;
}

Result<std::unique_ptr<LiveConfig>> LiveConfig::open(const std::string& path) {
  std::unique_ptr<LiveConfig> live(new LiveConfig(path));
  live->seen_ = live->stamp();
  Loaded loaded = load_config(path);
  if (!loaded.config) return Error{ErrorCode::invalid, to_text(loaded.problems), false};
  live->current_ = std::make_shared<const Config>(std::move(*loaded.config));
  return live;
}

ReloadStatus LiveConfig::reload(TimePoint now) {
  seen_ = stamp();
  Loaded loaded = load_config(path_);
  std::string problems = to_text(loaded.problems);
  if (loaded.config) problems = immutable_changes(*current_, *loaded.config, path_);
  status_ = {problems.empty(), now, problems};
  if (status_.ok) current_ = std::make_shared<const Config>(std::move(*loaded.config));
  return status_;
}

bool LiveConfig::file_changed() {
  const Stamp now = stamp();
  // A file that is gone for a moment (an editor's save) is no change yet.
  if (now == seen_ || now == Stamp{}) return false;
  seen_ = now;
  return true;
}

}  // namespace ebb
