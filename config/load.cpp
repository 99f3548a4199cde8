#include "config/load.hpp"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "config/describe.hpp"
#include "config/options.hpp"
#include "config/report.hpp"
#include "config/validate.hpp"
#include "config/yaml_reader.hpp"

namespace ebb {
namespace {

constexpr std::uintmax_t kMostBytes = 1 << 20;

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
    for (ElsewhereConfig& e : job.snapshots.elsewhere) e.id = DeploymentId(job.name.value + "@" + e.name);
  }
  return config;
}

/// Places of what LiveConfig may have to refuse, by the names of fleets and pools: the lists are sorted by then.
std::map<std::string, Place> places_of(const Config& config, const Report& report) {
  std::map<std::string, Place> out;
  const auto note = [&](const std::string& name, const std::string& path) {
    if (report.given(path)) out[name] = report.place_of(path);
  };
  for (const char* option :
       {"state_dir", "api", "api.listen", "api.max_connections", "api.max_body_kib", "api.request_timeout", "ledger",
        "ledger.path", "ledger.keep", "ledger.max_decisions", "fleets"}) {
    note(option, option);
  }
  for (std::size_t i = 0; i < config.fleets.size(); ++i) {
    const std::string name = "fleets." + config.fleets[i].name.value;
    note(name, at("fleets", i));
    for (const char* option : {".pool", ".directory", ".gpu_ids"}) note(name + option, at("fleets", i) + option);
  }
  for (std::size_t i = 0; i < config.pools.size(); ++i) {
    note("pools." + config.pools[i].name.value + ".gpus", at("pools", i) + ".gpus");
  }
  return out;
}

Loaded read_document(const YAML::Node& document, const std::string& name) {
  Report report(name);
  Config config;
  YamlReader reader(document, "", report);
  options(config, reader);
  reader.finish();
  validate(config, report);
  Loaded out;
  out.problems = std::move(report).problems();
  if (!out.problems.empty()) return out;
  out.places = places_of(config, report);
  config = with_ids(in_order(std::move(config)));
  config.hash = config_hash(config);
  out.config = std::move(config);
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
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) {
      const YAML::Mark mark = documents[1].Mark();
      return refused(name, "a second document starts here; only one is allowed", mark.line + 1, mark.column + 1);
    }
    if (documents.empty() || documents[0].IsNull()) return refused(name, "the file is empty");
    if (!documents[0].IsMap()) return refused(name, "the file must be a mapping of options");
    Loaded out = read_document(documents[0], name);
    if (out.config) out.config->text = text;
    return out;
  } catch (const YAML::DeepRecursion& bad) {
    // yaml-cpp gives up at 500 levels, before the stack does.
    return refused(name, "nested too deeply", bad.mark.line + 1, bad.mark.column + 1);
  } catch (const YAML::Exception& bad) {
    return refused(name, "not YAML: " + bad.msg, bad.mark.line + 1, bad.mark.column + 1);
  } catch (const std::exception& bad) {
    return refused(name, std::string("not YAML: ") + bad.what());
  }
}

Loaded load_config(const std::string& path) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (status.type() == std::filesystem::file_type::not_found) return refused(path, "there is no such file", 0, 0);
  if (failure) return refused(path, "cannot be read: " + failure.message(), 0, 0);
  if (std::filesystem::is_directory(status)) return refused(path, "is a directory", 0, 0);
  // A pipe would keep the daemon waiting for somebody to write into it.
  if (!std::filesystem::is_regular_file(status)) return refused(path, "is no ordinary file", 0, 0);
  std::ifstream in(path, std::ios::binary);
  if (!in) return refused(path, "cannot be read: " + std::generic_category().message(errno), 0, 0);
  std::string text;
  text.resize(kMostBytes + 1);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return refused(path, "cannot be read: " + std::generic_category().message(errno), 0, 0);
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
