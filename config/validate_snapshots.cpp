// How a job's snapshots are stored and loaded.
#include <algorithm>
#include <string_view>

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

}  // namespace

void check_snapshots(const JobConfig& job, const std::string& path, Report& report) {
  const SnapshotsConfig& c = job.snapshots;
  if (!c.store.empty() && report.sound({path + ".store"})) {
    if (const std::string fault = store_fault(c.store); !fault.empty()) report.add(path + ".store", fault);
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
