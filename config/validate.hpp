// Rules between options. Internal to config/.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "config/report.hpp"

namespace ebb {

/// Adds a problem for every rule that is broken; each states the rule and the value. Options that were broken already
/// are left alone.
void validate(const Config& config, Report& report);

// The parts, in files of their own.

/// Intervals against each other, and directories.
void check_times(const Config& config, Report& report);
/// api.*
void check_api(const ApiConfig& api, Report& report);
/// What process fleets share: this host's ports, GPUs and directories. Names are checked already.
void check_fleets(const Config& config, Report& report);
/// backtest.*
void check_backtest(const Config& config, Report& report);
/// snapshots.* of a job.
void check_snapshots(const JobConfig& job, const std::string& path, Report& report);
/// publish:JOB in api.tokens names a job that there is.
void check_publish_scopes(const Config& config, Report& report);
/// One source, of a deployment or of a job's demand.
void check_source(const SourceConfig& source, const std::string& path, Report& report);
/// How a replica is started: command, environment, health check. `model` is what {model} stands for.
void check_start(const DeploymentConfig& deployment, const std::string& model, const std::string& path, Report& report);
/// A secret must be a reference. Its text is never repeated: it may be the secret.
void check_secret(const SecretRef& secret, const std::string& path, Report& report);

/// Credentials, headers and certificates of an end point; not its URL.
void check_endpoint(const EndpointConfig& endpoint, const std::string& path, Report& report);
/// What is wrong with a base URL, or nothing. The URL is repeated only where it cannot hold a secret.
std::optional<std::string> fault_of_url(const std::string& url);
/// a-z, 0-9 and '-', starts with a letter, at most 63 characters.
bool is_name(std::string_view name);

/// "pools", 3 -> "pools[3]"
std::string at(const std::string& list, std::size_t i);

}  // namespace ebb
