// How a job's snapshots are stored and loaded.
#include <algorithm>
#include <set>
#include <string_view>

#include "config/hotload_rules.hpp"
#include "config/text.hpp"
#include "config/validate.hpp"

namespace ebb {
namespace {

/// "s3://bucket" or "s3://bucket/prefix": a bucket's name is 3 to 63 of a-z, 0-9, '.' and '-'.
bool is_bucket_url(const std::string& store) {
  const std::string rest = store.substr(5);
  const std::string bucket = rest.substr(0, rest.find('/'));
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; };
  return bucket.size() >= 3 && bucket.size() <= 63 && std::all_of(bucket.begin(), bucket.end(), fits);
}

std::string store_fault(const std::string& store) {
  const bool plain = std::none_of(store.begin(), store.end(), [](char c) {
    return c == '?' || c == '#' || c == '@' || static_cast<unsigned char>(c) <= ' ';
  });
  const bool bucket = store.rfind("s3://", 0) == 0;
  if (plain && (bucket ? is_bucket_url(store) : store.front() == '/')) {
    return store.back() == '/' ? "a store is written without a slash at its end" : "";
  }
  return "a store is s3://bucket/prefix or an absolute path, without credentials or parameters";
}

bool is_region(const std::string& region) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !region.empty() && std::all_of(region.begin(), region.end(), fits);
}

/// "http://127.0.0.1:9000", "http://[::1]": no bucket's name can stand before such a host.
bool is_address(const std::string& endpoint) {
  const std::size_t host = endpoint.find("//") + 2;
  return endpoint[host] == '[' || endpoint.find_first_not_of("0123456789.", host) == endpoint.find(':', host);
}

void check_s3_endpoint(const SnapshotsConfig& c, const std::string& path, Report& report) {
  const S3Config& s3 = c.s3;
  if (!report.sound({path + ".endpoint", path + ".path_style"})) return;
  if (!s3.endpoint.empty()) {
    if (const auto fault = fault_of_url(s3.endpoint)) return report.add(path + ".endpoint", *fault);
    if (s3.endpoint.find('/', s3.endpoint.find("//") + 2) != std::string::npos) {
      return report.add(path + ".endpoint", "an S3 endpoint ends after its port; bucket and prefix stand in store");
    }
    if (!s3.path_style && is_address(s3.endpoint)) {
      return report.add(path + ".endpoint", "no bucket's name can stand before an address: path_style: true is needed");
    }
  }
  const bool tls = s3.endpoint.rfind("http://", 0) != 0;
  const std::string bucket = c.store.substr(5, c.store.find('/', 5) - 5);
  if (tls && !s3.path_style && bucket.find('.') != std::string::npos) {
    report.add(path, "no certificate fits a host name with this bucket's dot: path_style: true is needed");
  }
}

void check_s3(const SnapshotsConfig& c, const std::string& path, Report& report) {
  const S3Config& s3 = c.s3;
  if (!report.sound({path})) return;
  if (c.store.rfind("s3://", 0) != 0) {
    if (s3 != S3Config()) report.add(path, "s3 belongs to a store that is s3://bucket/prefix");
    return;
  }
  check_s3_endpoint(c, path, report);
  if (!is_region(s3.region) && report.sound({path + ".region"})) {
    report.add(path + ".region", "a region is made of a-z, 0-9 and '-', got " + in_quotes(s3.region));
  }
  check_secret(s3.access_key_id, path + ".access_key_id", report);
  check_secret(s3.secret_access_key, path + ".secret_access_key", report);
  check_secret(s3.session_token, path + ".session_token", report);
  const bool keys_sound = report.sound({path + ".access_key_id", path + ".secret_access_key"});
  if (s3.access_key_id.empty() != s3.secret_access_key.empty() && keys_sound) {
    report.add(path + (s3.access_key_id.empty() ? ".secret_access_key" : ".access_key_id"),
               "access_key_id and secret_access_key belong together");
  } else if (s3.access_key_id.empty() && !s3.session_token.empty() && keys_sound) {
    report.add(path + ".session_token", "a session_token belongs to an access_key_id and a secret_access_key");
  }
  if (!s3.ca_file.empty() && s3.ca_file.front() != '/') {
    report.add(path + ".ca_file", "ca_file must be an absolute path, got " + in_quotes(s3.ca_file));
  }
}

/// Only what `kind` looks at may be said.
void check_vendor(const HotloadConfig& c, const std::string& path, Report& report) {
  if (c.deployment.empty() && report.sound({path + ".deployment"})) {
    report.add(path + ".deployment", "kind " + std::string(to_string(c.kind)) + " needs the deployment's id");
  }
  if (c.kind == HotloadKind::fireworks && c.account.empty() && report.sound({path + ".account"})) {
    report.add(path + ".account", "kind fireworks needs the account's id");
  }
  if (c.kind == HotloadKind::fireworks && c.base_model.empty() && report.sound({path + ".base_model"})) {
    report.add(path + ".base_model", "kind fireworks needs base_model, accounts/ACCOUNT/models/MODEL");
  }
  if (!c.endpoint.url.empty() && report.sound({path + ".endpoint.url"})) {
    if (const auto fault = fault_of_url(c.endpoint.url)) report.add(path + ".endpoint.url", *fault);
  }
}

void check_engines(const HotloadConfig& c, const SnapshotsConfig& snapshots, const std::string& path, Report& report) {
  if (!c.endpoint.url.empty()) report.add(path + ".endpoint.url", "engines have addresses of their own; give no url");
  const bool sound = report.sound({path + ".weights_from", path + ".puller", path + ".checkpoint_dir"});
  if (!sound) return;
  if (c.weights_from == WeightsFrom::ebb_pull) {
    std::string url = c.puller;
    if (const auto at = url.find("{host}"); at != std::string::npos) url.replace(at, 6, "localhost");
    if (c.puller.empty()) {
      report.add(path + ".puller", "weights_from: ebb_pull needs its URL, such as http://{host}:8475");
    } else if (const auto fault = fault_of_url(url)) {
      report.add(path + ".puller", *fault);
    }
  } else if (!c.puller.empty()) {
    report.add(path + ".puller", "puller belongs to weights_from: ebb_pull");
  }
  if (c.weights_from == WeightsFrom::engine && c.kind == HotloadKind::vllm) {
    report.add(path + ".weights_from", "vLLM has no /pull_weights; weights_from is store or ebb_pull");
  } else if ((c.weights_from == WeightsFrom::engine) == c.checkpoint_dir.empty()) {
    report.add(path + ".checkpoint_dir", "weights_from: engine, and nothing else, needs a checkpoint_dir");
  }
  const bool bucket = snapshots.store.empty() || snapshots.store.front() != '/';
  if (bucket && c.weights_from != WeightsFrom::ebb_pull) {
    report.add(path + ".weights_from",
               "engines read directories: with a store that is none they need weights_from: ebb_pull");
  }
}

void check_hotload(const HotloadConfig& c, const SnapshotsConfig& snapshots, const std::string& path, Report& report) {
  if (!report.sound({path, path + ".kind"}) || c.kind == HotloadKind::none) return;
  check_endpoint(c.endpoint, path + ".endpoint", report);
  is_vendor(c.kind) ? check_vendor(c, path, report) : check_engines(c, snapshots, path, report);
  if (const std::string why = refusal_of(c, snapshots); !why.empty()) report.add(path + ".kind", why);
}

void check_elsewhere(const JobConfig& job, const std::string& path, Report& report) {
  std::set<std::string> names;
  for (const DeploymentConfig& deployment : job.deployments) names.insert(deployment.pool.value);
  for (std::size_t i = 0; i < job.snapshots.elsewhere.size(); ++i) {
    const ElsewhereConfig& one = job.snapshots.elsewhere[i];
    const std::string here = at(path, i);
    if (report.sound({here + ".name"}) && (!is_name(one.name) || !names.insert(one.name).second)) {
      report.add(here + ".name", "a name like that of a pool, and none that another deployment of the job has, got " +
                                     in_quotes(one.name));
    }
    check_hotload(one.hotload, job.snapshots, here + ".hotload", report);
    if (!report.sound({here + ".engines", here + ".hotload.kind"})) continue;
    if (one.hotload.kind == HotloadKind::none) {
      report.add(here + ".hotload", "who loads the weights there? hotload.kind is needed");
    } else if (is_vendor(one.hotload.kind) != one.engines.empty()) {
      report.add(here + ".engines", "vllm and sglang, and nobody else, need the engines' URLs");
    }
    for (const std::string& url : one.engines) {
      if (const auto fault = fault_of_url(url)) report.add(here + ".engines", *fault);
    }
  }
}

}  // namespace

void check_snapshots(const JobConfig& job, const std::string& path, Report& report) {
  const SnapshotsConfig& c = job.snapshots;
  if (!c.store.empty() && report.sound({path + ".store"})) {
    if (const std::string fault = store_fault(c.store); !fault.empty()) report.add(path + ".store", fault);
  }
  if (report.sound({path + ".store"})) check_s3(c, path + ".s3", report);
  if (c.prune_after > Duration{0} && c.store.empty() && report.sound({path + ".prune_after", path + ".store"})) {
    report.add(path + ".prune_after", "prune_after needs the store that it deletes from");
  }
  if (c.enabled && report.sound({path + ".hotload.kind"})) {
    if (c.hotload.kind == HotloadKind::none) {
      report.add(path + ".hotload", "enabled needs hotload.kind: who loads the weights into the job's replicas?");
    } else if (is_vendor(c.hotload.kind)) {
      report.add(path + ".hotload.kind", "a vendor's replicas are no fleet's here: name its deployment in elsewhere");
    }
    check_hotload(c.hotload, c, path + ".hotload", report);
    check_elsewhere(job, path + ".elsewhere", report);
  }
  if (c.retry_max < c.retry_first && report.sound({path + ".retry_max", path + ".retry_first"})) {
    report.add(path + ".retry_max", "retry_max must be at least retry_first, got " + to_text(c.retry_max) +
                                        " with retry_first " + to_text(c.retry_first));
  }
  if (c.load_timeout < 2 * c.poll_interval && report.sound({path + ".load_timeout", path + ".poll_interval"})) {
    report.add(path + ".load_timeout", "load_timeout must be at least two polls, got " + to_text(c.load_timeout) +
                                           " with poll_interval " + to_text(c.poll_interval));
  }
  if (c.settle < 2 * c.poll_interval && report.sound({path + ".settle", path + ".poll_interval"})) {
    report.add(path + ".settle", "settle must be at least two polls, got " + to_text(c.settle) +
                                     " with poll_interval " + to_text(c.poll_interval));
  }
}

void check_publish_scopes(const Config& config, Report& report) {
  static constexpr std::string_view kPrefix = "publish:";
  for (std::size_t i = 0; i < config.api.tokens.size(); ++i) {
    const std::string path = at("api.tokens", i) + ".scopes";
    if (!report.sound({path, "jobs"})) continue;
    for (const std::string& scope : config.api.tokens[i].scopes) {
      if (scope.rfind(kPrefix, 0) != 0) continue;
      const std::string name = scope.substr(kPrefix.size());
      const bool there = std::any_of(config.jobs.begin(), config.jobs.end(),
                                     [&](const JobConfig& job) { return job.name.value == name; });
      if (!there) report.add(path, "there is no job " + in_quotes(name) + " to publish for");
    }
  }
}

}  // namespace ebb
