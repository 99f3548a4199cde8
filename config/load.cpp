#include "config/load.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <tuple>

#include "config/describe.hpp"
#include "config/options.hpp"
#include "config/validate.hpp"
#include "config/yaml_reader.hpp"

namespace ebb {
namespace {

constexpr std::uintmax_t kMostBytes = 1 << 20;
// Flow brackets nested deeper than any option; yaml-cpp recurses, and a file of 100,000 "[" must not end the daemon.
constexpr int kDeepest = 64;

bool too_deep(const std::string& text) {
  int depth = 0;
  for (const char c : text) {
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') depth = std::max(0, depth - 1);
    if (depth > kDeepest) return true;
  }
  // Block nesting costs two spaces a level, or a "- " each.
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    std::size_t dashes = 0, i = start;
    for (; i < end && (text[i] == ' ' || text[i] == '-' || text[i] == '?'); ++i) dashes += text[i] != ' ';
    if (dashes > kDeepest || i - start > 8 * kDeepest) return true;
    start = end + 1;
  }
  return false;
}

Loaded refused(const std::string& name, const std::string& message, int line = 1, int column = 1) {
  Loaded out;
  out.problems.push_back({name, line, column, message});
  return out;
}

template <class T, class Key>
void sort_by(std::vector<T>& items, Key key) {
  std::stable_sort(items.begin(), items.end(), [&](const T& a, const T& b) { return key(a) < key(b); });
}

Config in_order(Config config) {
  const auto by_name = [](const auto& item) { return item.name; };
  sort_by(config.pools, by_name);
  sort_by(config.fleets, by_name);
  sort_by(config.services, by_name);
  sort_by(config.jobs, by_name);
  const auto by_pool = [](const DeploymentConfig& deployment) { return deployment.pool; };
  for (ServiceConfig& service : config.services) sort_by(service.deployments, by_pool);
  for (JobConfig& job : config.jobs) sort_by(job.deployments, by_pool);
  return config;
}

Config with_ids(Config config) {
  for (ServiceConfig& service : config.services) {
    for (DeploymentConfig& d : service.deployments) d.id = DeploymentId(service.name.value + "@" + d.pool.value);
  }
  for (JobConfig& job : config.jobs) {
    for (DeploymentConfig& d : job.deployments) d.id = DeploymentId(job.name.value + "@" + d.pool.value);
  }
  return config;
}

Loaded read_document(const YAML::Node& document, const std::string& name) {
  Report report{name, {}, {}};
  Config config;
  YamlReader reader(document, "", report);
  options(config, reader);
  reader.finish();
  validate(config, report);
  Loaded out;
  if (report.problems.empty()) {
    config = with_ids(in_order(std::move(config)));
    config.hash = config_hash(config);
    out.config = std::move(config);
    return out;
  }
  out.problems = std::move(report.problems);
  std::stable_sort(out.problems.begin(), out.problems.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  return out;
}

}  // namespace

std::string Problem::to_text() const {
  if (line == 0) return file + ": " + message;
  return file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + message;
}

std::string to_text(const std::vector<Problem>& problems) {
  std::string out;
  for (const Problem& problem : problems) out += problem.to_text() + "\n";
  return out;
}

Loaded load_config_text(const std::string& text, const std::string& name) {
  if (text.size() > kMostBytes) return refused(name, "the file is larger than 1 MiB", 0, 0);
  if (text.find('\0') != std::string::npos) return refused(name, "the file contains a NUL byte", 0, 0);
  if (too_deep(text))
    return refused(name, "the file is nested deeper than " + std::to_string(kDeepest) + " levels", 0, 0);
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.empty() || documents[0].IsNull()) return refused(name, "the file is empty");
    if (documents.size() > 1) {
      const YAML::Mark mark = documents[1].Mark();
      return refused(name, "a second document starts here; only one is allowed", mark.line + 1, mark.column + 1);
    }
    if (!documents[0].IsMap()) return refused(name, "the file must be a mapping of options");
    return read_document(documents[0], name);
  } catch (const YAML::Exception& bad) {
    return refused(name, "not YAML: " + bad.msg, bad.mark.line + 1, bad.mark.column + 1);
  }
}

Loaded load_config(const std::string& path) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (!std::filesystem::exists(status)) return refused(path, "there is no such file", 0, 0);
  if (std::filesystem::is_directory(status)) return refused(path, "is a directory", 0, 0);
  std::ifstream in(path, std::ios::binary);
  if (!in) return refused(path, "cannot be read", 0, 0);
  std::string text;
  text.resize(kMostBytes + 1);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return load_config_text(text, path);
}

int check_config_command(const std::string& path, std::ostream& out, std::ostream& err) {
  const Loaded loaded = load_config(path);
  if (!loaded.config) {
    err << to_text(loaded.problems);
    return 2;
  }
  const Config& config = *loaded.config;
  out << path << ": ok, hash " << config.hash << ", " << config.pools.size() << " pools, " << config.fleets.size()
      << " fleets, " << config.services.size() << " services, " << config.jobs.size() << " jobs, mode "
      << (config.mode == Mode::act ? "act" : "advise") << "\n";
  return 0;
}

}  // namespace ebb
