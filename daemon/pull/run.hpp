// The two ways to run ebb-pull.
#pragma once

#include "daemon/pull/options.hpp"

namespace ebb::pull {

// What the program exits with.
inline constexpr int kReady = 0;
inline constexpr int kTryAgain = 1;  ///< failed, and may succeed when asked again
inline constexpr int kUsage = 2;     ///< an option is wrong, or the port or directory is taken
inline constexpr int kForGood = 3;   ///< failed, and will fail again: damaged, or not what it is said to be
inline constexpr int kStopped = 4;   ///< SIGINT or SIGTERM; what arrived stays for the next time

/// Answers requests until SIGTERM.
int serve(const Options& options);
/// One snapshot, with a progress bar on a terminal; prints its directory.
int get(const Options& options, const Path& path);

}  // namespace ebb::pull
