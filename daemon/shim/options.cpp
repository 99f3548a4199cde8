#include "daemon/shim/options.hpp"

#include <charconv>
#include <functional>
#include <map>
#include <optional>

namespace ebb::shim {
namespace {

Error wrong(std::string what) { return Error{ErrorCode::invalid, std::move(what), false}; }

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t from = 0;
  while (from <= text.size()) {
    const std::size_t comma = std::min(text.find(',', from), text.size());
    if (comma > from) parts.push_back(text.substr(from, comma - from));
    from = comma + 1;
  }
  return parts;
}

bool read_int(const std::string& text, long long max, long long& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && out >= 0 && out <= max;
}

bool read_duration(const std::string& text, Duration& out) {
  const std::optional<Duration> span = duration_from(text);
  if (span) out = *span;
  return span.has_value();
}

using Setter = std::function<bool(Options&, const std::string&)>;

bool keep(std::string& member, const std::string& text) {
  member = text;
  return !text.empty();
}

std::map<std::string, Setter> setters() {
  std::map<std::string, Setter> set;
  set["--dir"] = [](Options& o, const std::string& v) { return keep(o.dir, v); };
  set["--lock-dir"] = [](Options& o, const std::string& v) { return keep(o.lock_dir, v); };
  set["--replica"] = [](Options& o, const std::string& v) { return keep(o.replica, v); };
  set["--deployment"] = [](Options& o, const std::string& v) { return keep(o.deployment, v); };
  set["--health-path"] = [](Options& o, const std::string& v) { return keep(o.health_path, v); };
  set["--slots"] = [](Options& o, const std::string& v) { return !(o.slots = split(v)).empty(); };
  set["--ttl"] = [](Options& o, const std::string& v) { return read_duration(v, o.ttl); };
  set["--drain-timeout"] = [](Options& o, const std::string& v) { return read_duration(v, o.drain_timeout); };
  set["--log-max-bytes"] = [](Options& o, const std::string& v) { return read_int(v, 1LL << 50, o.log_max_bytes); };
  set["--role"] = [](Options& o, const std::string& v) { return o.rl = v == "rl", v == "rl" || v == "production"; };
  set["--port"] = [](Options& o, const std::string& v) {
    long long port = 0;
    if (!read_int(v, 65535, port)) return false;
    o.port = static_cast<int>(port);
    return true;
  };
  return set;
}

}  // namespace

std::string usage() {
  return "usage: ebb-shim --dir DIR --lock-dir DIR --slots A,B [--replica ID] [--deployment ID] [--port N]\n"
         "                [--health-path PATH] [--role rl|production] [--ttl 60s] [--drain-timeout 60s]\n"
         "                [--log-max-bytes N] -- COMMAND [ARGUMENT ...]\n"
         "Runs one replica's engine, holds its GPU slots' locks as long as anything of it lives, and takes all of it\n"
         "down at the end. Returns once the engine runs: 0 started, 73 exists already, 75 a slot is taken, 70 "
         "failed.\n";
}

Result<Options> parse_options(const std::vector<std::string>& args) {
  Options options;
  const std::map<std::string, Setter> known = setters();
  std::size_t i = 0;
  for (; i < args.size() && args[i] != "--"; i += 2) {
    const auto setter = known.find(args[i]);
    if (setter == known.end()) return wrong("unknown option '" + args[i] + "'");
    if (i + 1 >= args.size()) return wrong("'" + args[i] + "' needs a value");
    if (!setter->second(options, args[i + 1])) return wrong("'" + args[i] + "' cannot be '" + args[i + 1] + "'");
  }
  if (i < args.size()) options.argv.assign(args.begin() + static_cast<std::ptrdiff_t>(i) + 1, args.end());
  if (options.dir.empty() || options.lock_dir.empty() || options.slots.empty()) {
    return wrong("--dir, --lock-dir and --slots are required");
  }
  if (options.argv.empty()) return wrong("no command after '--'");
  return options;
}

}  // namespace ebb::shim
