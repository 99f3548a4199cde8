// What each word of ebbctl does. Returns the exit status.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <ostream>
#include <string>

#include "daemon/ctl/client.hpp"

namespace ebb::ctl {

/// Where a command writes, and how.
struct Output {
  std::ostream& out;
  std::ostream& err;
  bool json = false;  ///< the API's answer, indented, instead of a table
  bool colours = false;
  bool terminal = false;
};

using Show = std::string (*)(const nlohmann::json& answer, bool colours);

/// One GET, shown.
int show_command(Client& client, const Output& output, const std::string& path, Show show);
int status_command(Client& client, const Output& output);

struct OverrideOptions {
  std::string kind;
  std::string target;
  std::optional<int> replicas;
  std::string reason;
  std::string owner;  ///< empty: the user's name
  std::string ttl = "1h";
};
int override_command(Client& client, const Output& output, const OverrideOptions& options);
/// Ends one override.
int end_command(Client& client, const Output& output, const std::string& id, const std::string& owner);
/// Ends freezes: of the target, or every one when it is empty.
int unfreeze_command(Client& client, const Output& output, const std::string& target, const std::string& owner);

struct DemandOptions {
  std::string job;
  std::optional<double> replicas;
  std::optional<double> rollouts;
  std::string ttl = "1h";
};
int demand_command(Client& client, const Output& output, const DemandOptions& options);

struct TopOptions {
  Duration interval{2'000};
  int count = 0;  ///< refreshes; 0: until interrupted
};
int top_command(Client& client, const Output& output, const TopOptions& options);

}  // namespace ebb::ctl
