#include "daemon/model/snapshot.hpp"

#include <algorithm>

#include "daemon/model/weights.hpp"

namespace ebb {
namespace {

constexpr std::size_t kIdentityMax = 200;  // names of files end at 255 bytes, and stores add suffixes of their own

bool is_plain(char c) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return letter || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '=' || c == '+' || c == ':' ||
         c == '@';
}

}  // namespace

std::string identity_fault(std::string_view text) {
  if (text.empty()) return "the identity is empty";
  if (text.size() > kIdentityMax) return "the identity is longer than " + std::to_string(kIdentityMax) + " bytes";
  if (text.find('/') != std::string_view::npos) return "the identity is one path segment, without a slash";
  if (text.front() == '.') return "the identity begins with a dot";
  if (!std::all_of(text.begin(), text.end(), is_plain))
    return "the identity has characters other than A-Z a-z 0-9 -_.=+:@";
  return {};
}

const char* to_string(SnapshotKind kind) { return kind == SnapshotKind::full ? "full" : "incremental"; }

const char* to_string(SnapshotPhase phase) {
  switch (phase) {
    case SnapshotPhase::planned: return "planned";
    case SnapshotPhase::published: return "published";
    case SnapshotPhase::verified: return "verified";
    case SnapshotPhase::loading: return "loading";
    case SnapshotPhase::serving: return "serving";
    case SnapshotPhase::rejected: return "rejected";
    case SnapshotPhase::failed: return "failed";
    case SnapshotPhase::dropped: return "dropped";
  }
  return "unknown";
}

const char* to_string(WeightsPhase phase) {
  switch (phase) {
    case WeightsPhase::unknown: return "unknown";
    case WeightsPhase::base: return "base";
    case WeightsPhase::loading: return "loading";
    case WeightsPhase::serving: return "serving";
    case WeightsPhase::failed: return "failed";
    case WeightsPhase::left: return "left";
  }
  return "unknown";
}

const char* to_string(LoadPhase phase) {
  switch (phase) {
    case LoadPhase::idle: return "idle";
    case LoadPhase::sending: return "sending";
    case LoadPhase::asking: return "asking";
    case LoadPhase::loading: return "loading";
  }
  return "unknown";
}

const char* to_string(LoadTransitionMode mode) { return mode == LoadTransitionMode::async ? "async" : "sync"; }

const char* to_string(ResetCache reset) {
  switch (reset) {
    case ResetCache::all: return "all";
    case ResetCache::new_session: return "new_session";
    case ResetCache::none: return "none";
  }
  return "all";
}

std::optional<ResetCache> reset_cache_from(std::string_view word) {
  for (const ResetCache reset : {ResetCache::all, ResetCache::new_session, ResetCache::none}) {
    if (word == to_string(reset)) return reset;
  }
  return std::nullopt;
}

}  // namespace ebb
