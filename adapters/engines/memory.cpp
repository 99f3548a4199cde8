#include "adapters/engines/memory.hpp"

#include <algorithm>
#include <string_view>

namespace ebb {
namespace {

constexpr std::string_view kMark = "ebb/loading/";
constexpr std::string_view kStartTime = "\nprocess_start_time_seconds ";

}  // namespace

std::string update_mark(const UpdateMark& mark) {
  const std::string how = std::string(to_string(mark.reset)) + "," + to_string(mark.transition);
  return std::string(kMark) + mark.target.value + "/" + mark.before + "/" + how + "/" + mark.directory;
}

std::optional<UpdateMark> update_mark_from(const std::string& version) {
  if (!version.starts_with(kMark)) return std::nullopt;
  std::string rest = version.substr(kMark.size());
  const auto next = [&rest]() -> std::optional<std::string> {
    const std::size_t slash = rest.find('/');
    if (slash == std::string::npos) return std::nullopt;
    std::string part = rest.substr(0, slash);
    rest.erase(0, slash + 1);
    return part;
  };
  const auto target = next();
  const auto before = next();
  const auto how = next();
  if (!target || !before || !how) return std::nullopt;
  UpdateMark mark;
  mark.target = Identity(*target);
  mark.before = *before;
  mark.reset = reset_cache_from(how->substr(0, how->find(','))).value_or(ResetCache::all);
  mark.transition = how->ends_with(",sync") ? LoadTransitionMode::sync : LoadTransitionMode::async;
  mark.directory = rest;
  return mark;
}

std::optional<Identity> identity_of_version(const std::string& version) {
  if (version.empty() || !identity_fault(version).empty()) return std::nullopt;
  return Identity(version);
}

std::optional<Identity> identity_of_path(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return identity_of_version(path.substr(path.rfind('/') + 1));
}

std::optional<int> number_of_version(const Identity& identity) {
  constexpr std::string_view kHead = "weight_v";
  const std::string& name = identity.value;
  const bool fits = name.size() == kHead.size() + 6 && name.starts_with(kHead) &&
                    name.find_first_not_of("0123456789", kHead.size()) == std::string::npos;
  if (!fits) return std::nullopt;
  return std::stoi(name.substr(kHead.size()));
}

std::string start_time_in(const std::string& page) {
  const std::size_t at = page.find(kStartTime);
  if (at == std::string::npos) return "";
  const std::size_t from = at + kStartTime.size();
  return page.substr(from, std::min(page.find_first_of("\r\n ", from), page.size()) - from);
}

}  // namespace ebb
