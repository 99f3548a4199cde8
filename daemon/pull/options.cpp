#include "daemon/pull/options.hpp"

#include <charconv>

namespace ebb::pull {
namespace {

constexpr std::uint64_t kPartMin = 64u << 10;
constexpr std::uint64_t kPartMax = 1u << 30;

Error wrong(std::string what) { return Error{ErrorCode::invalid, std::move(what), false}; }

/// The place of a secret, never the secret: a command line is there for all to read.
Result<SecretRef> secret(const char* option, const std::string& text) {
  if (text.empty()) return SecretRef{};
  const bool file = text.starts_with("file:/");
  const bool variable = text.starts_with("env:") && text.size() > 4;
  if (file || variable) return SecretRef{text};
  return wrong(std::string(option) + " takes file:/PATH or env:NAME, so that no secret is in a command line");
}

Result<Duration> span(const char* option, const std::string& text, Duration min) {
  const auto read = duration_from(text);
  if (read && *read >= min) return *read;
  return wrong(std::string(option) + " takes a duration of at least " + to_text(min) + ", such as 90s, not '" + text +
               "'");
}

Status read_store(const Words& words, StoreOptions& store) {
  store.url = words.store;
  store.endpoint = words.endpoint;
  store.region = words.region;
  store.path_style = words.path_style;
  store.ca_file = words.ca_file;
  struct Secret {
    const char* option;
    const std::string& text;
    SecretRef& to;
  };
  for (const Secret& one : {Secret{"--access-key-id", words.access_key_id, store.access_key_id},
                            Secret{"--secret-access-key", words.secret_access_key, store.secret_access_key},
                            Secret{"--session-token", words.session_token, store.session_token}}) {
    const Result<SecretRef> read = secret(one.option, one.text);
    if (!read.ok()) return read.error();
    one.to = *read;
  }
  const Result<Duration> stall = span("--stall-timeout", words.stall_timeout, Duration{1'000});
  if (!stall.ok()) return stall.error();
  store.stall_timeout = *stall;
  return Done{};
}

}  // namespace

Result<std::uint64_t> bytes_from(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit(end, text.data() + text.size());
  const unsigned shift = unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : 0;
  const bool known = unit.empty() || shift != 0;
  if (error != std::errc{} || !known || value > (UINT64_MAX >> shift))
    return wrong("'" + text + "' is no size such as 16M");
  return value << shift;
}

Result<Options> options_from(const Words& words) {
  Options options;
  if (const Status store = read_store(words, options.store); !store.ok()) return store.error();
  if (!words.directory.starts_with('/'))
    return wrong("--directory takes an absolute path, not '" + words.directory + "'");
  options.directory = words.directory;
  while (options.directory.size() > 1 && options.directory.back() == '/') options.directory.pop_back();
  if (words.parallel < 1 || words.parallel > 256) return wrong("--parallel takes 1 to 256");
  if (words.apply_threads < 1 || words.apply_threads > 256) return wrong("--apply-threads takes 1 to 256");
  if (words.keep < 1 || words.keep > 1'000) return wrong("--keep takes 1 to 1000");
  const Result<std::uint64_t> part = bytes_from(words.part_size);
  if (!part.ok() || *part < kPartMin || *part > kPartMax)
    return wrong("--part-size takes 64K to 1G, not '" + words.part_size + "'");
  const Result<Duration> timeout = span("--timeout", words.timeout, Duration{1'000});
  if (!timeout.ok()) return timeout.error();
  const Result<SecretRef> token = secret("--token", words.token);
  if (!token.ok()) return token.error();
  options.pull.transfer.parallel = words.parallel;
  options.pull.transfer.part_bytes = *part;
  options.pull.build_threads = words.apply_threads;
  options.pull.keep = words.keep;
  options.listen = words.listen;
  options.token = *token;
  options.timeout = *timeout;
  return options;
}

Result<Path> path_from_names(const std::vector<std::string>& names, const std::string& onto,
                             const std::string& identity) {
  Path path;
  std::string parent = onto;
  for (const std::string& name : names.empty() ? std::vector<std::string>{identity} : names) {
    const SnapshotKind kind = parent.empty() ? SnapshotKind::full : SnapshotKind::incremental;
    path.push_back({name, kind, parent});
    parent = name;
  }
  if (path.back().identity != identity)
    return wrong("--path leads to '" + path.back().identity + "', not to '" + identity + "'");
  if (const std::string fault = path_fault(path); !fault.empty()) return wrong(fault);
  return path;
}

}  // namespace ebb::pull
