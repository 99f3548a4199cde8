// Snapshots from a terminal: what was published, what became of it, and publishing by hand.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "daemon/ctl/commands.hpp"

namespace ebb::ctl {

std::string show_snapshots(const nlohmann::json& answer, bool colours);
/// One identity a line: what no chain needs any more.
std::string show_prunable(const nlohmann::json& answer, bool colours);
std::string show_loads(const nlohmann::json& answer, bool colours);
/// A line for the snapshot, and one with a bar for each replica.
std::string show_progress(const nlohmann::json& answer, bool colours);

struct PublishOptions {
  std::string job;
  std::string identity;
  std::string parent;  ///< with it the snapshot is incremental
  std::string run;
  std::optional<int> step;
  bool wait = false;
  Duration timeout{600'000};  ///< of the wait
};
/// With `wait` it ends when the snapshot serves (0) or has failed (1).
int publish_command(Client& client, const Output& output, const PublishOptions& options);

/// Forgets the chain; the next snapshot must be full.
int reset_command(Client& client, const Output& output, const std::string& job);

}  // namespace ebb::ctl
