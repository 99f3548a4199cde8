#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "daemon/model/snapshot.hpp"

namespace ebb {

using boost::asio::awaitable;

struct Verdict {
  enum class Kind {
    verified,   ///< whole, readable, and what it says it is
    waiting,    ///< not yet: something is missing, or the store does not answer
    malformed,  ///< and it never will be
  };
  Kind kind = Kind::waiting;
  std::string reason;      ///< of the latter two
  std::int64_t bytes = 0;  ///< verified only
};

/// Looks at a published snapshot in its store.
class SnapshotVerifier {
 public:
  virtual ~SnapshotVerifier() = default;
  /// `parent`: of an incremental one. Returns before `deadline`.
  virtual awaitable<Verdict> verify(Snapshot snapshot, std::optional<Snapshot> parent, TimePoint deadline) = 0;
};

}  // namespace ebb
