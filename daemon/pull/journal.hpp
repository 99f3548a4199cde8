// Which parts of a download are complete, so that a pull that was killed goes on where it was. JSON lines beside the
// download: one names the boot and the size of a part, then one for each file, each complete part and each synced file.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "daemon/pull/files.hpp"
#include "daemon/pull/store.hpp"

namespace ebb::pull {

/// Parts written before a power failure may be lost while their lines are not: parts count only during the boot in
/// which they were written, whole files, which are synced before their line, for ever.
class Journal {
 public:
  /// Keeps what an earlier journal says of objects that are still the same (size and tag), in files below `directory`
  /// that still have their size; forgets everything else. Writes a fresh journal.
  static Result<std::unique_ptr<Journal>> open(const std::string& path, const std::string& directory,
                                               const std::vector<Object>& objects, std::uint64_t part_bytes);

  [[nodiscard]] bool has(const std::string& name, std::uint64_t part) const;
  [[nodiscard]] bool has_any(const std::string& name) const { return parts_.contains(name); }
  [[nodiscard]] bool is_whole(const std::string& name) const { return whole_.contains(name); }
  /// Any thread.
  Status add_part(const std::string& name, std::uint64_t part);
  Status add_whole(const std::string& name);

 private:
  Journal() = default;
  Status append(const std::string& line);

  Fd file_;
  std::mutex mutex_;
  std::map<std::string, std::set<std::uint64_t>> parts_;  ///< as found; not changed afterwards
  std::set<std::string> whole_;
};

}  // namespace ebb::pull
