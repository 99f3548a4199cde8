#include "daemon/runtime/replay.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "config/load.hpp"
#include "daemon/core/decide.hpp"
#include "daemon/model/json.hpp"
#include "daemon/model/json_delta.hpp"
#include "daemon/model/json_text.hpp"

namespace ebb {
namespace {

using nlohmann::json;

constexpr std::size_t kLinesMax = 10;
constexpr std::size_t kValueMax = 200;

enum Column { kTick, kBuild, kDecision, kObservation, kBefore, kAfter, kBase, kConfig };

constexpr const char* kRows =
    "SELECT d.tick, build, decision, observation, state_before, state, base, config FROM decisions AS d "
    "LEFT JOIN inputs AS i ON i.tick = d.tick ORDER BY d.tick";

Error unreadable(const std::string& why) { return {ErrorCode::malformed, why, false}; }

std::string shortened(const json& value) {
  std::string text = json_text(value);
  if (text.size() > kValueMax) text = text.substr(0, kValueMax) + "...";
  return text;
}

std::vector<std::string> lines_of(const json& recorded, const json& now) {
  std::vector<std::string> out;
  const json patch = json::diff(recorded, now);
  for (const json& change : patch) {
    if (out.size() == kLinesMax) {
      out.push_back("and " + std::to_string(patch.size() - kLinesMax) + " more");
      break;
    }
    const std::string path = change.at("path");
    const std::string op = change.at("op");
    const json::json_pointer place(path);
    // A step that was put in between moves all after it: the values then stand at the place the change names.
    const std::string was = op != "add" && recorded.contains(place) ? shortened(recorded.at(place)) : "nothing";
    const std::string is = op == "remove" ? "nothing" : shortened(change.at("value"));
    out.push_back(path + ": recorded " + was + ", now " + is);
  }
  return out;
}

/// The three values of a row, carried from one to the next.
class Rows {
 public:
  Observation seen;
  State before, after;

  Status read(const Statement& row) {
    Status done = take(row);
    if (done.ok())
      tick_ = row.number(kTick);
    else
      tick_.reset();
    return done;
  }

 private:
  Status take(const Statement& row) {
    if (row.is_null(kObservation)) return unreadable("what they saw is not kept");
    if (row.is_null(kConfig)) return unreadable("their configuration is not kept");
    const json observation = parsed(row, kObservation), was = parsed(row, kBefore), is = parsed(row, kAfter);
    const bool whole = row.is_null(kBase);
    if (!whole && tick_ != row.number(kBase)) return unreadable("the row that they are a change of is gone");
    Result<Observation> sight = whole ? observation_from(observation) : applied(std::move(seen), observation);
    if (!sight.ok()) return sight.error();
    Result<State> from = whole ? state_from(was) : applied(std::move(after), was);
    if (!from.ok()) return from.error();
    Result<State> to = whole ? state_from(is) : applied(*from, is);
    if (!to.ok()) return to.error();
    seen = std::move(*sight);
    before = std::move(*from);
    after = std::move(*to);
    return Done{};
  }

  static json parsed(const Statement& row, int column) { return json::parse(row.text(column), nullptr, false); }

  std::optional<std::int64_t> tick_;  ///< of the row that was read last
};

class Configs {
 public:
  explicit Configs(Database& db) : db_(db) {}

  Result<std::shared_ptr<const Config>> of(const std::string& hash) {
    auto& known = known_[hash];
    if (known) return known;
    Result<Statement> find = db_.prepare("SELECT text FROM configs WHERE hash = ?");
    if (!find.ok()) return find.error();
    const Result<bool> row = find->bind(hash).step();
    if (!row.ok()) return row.error();
    if (!*row) return unreadable("the configuration " + hash + " is not in the ledger");
    Loaded loaded = load_config_text(find->text(0), "configuration " + hash);
    if (!loaded.config) return unreadable("this build refuses " + to_text(loaded.problems));
    known = std::make_shared<const Config>(std::move(*loaded.config));
    return known;
  }

 private:
  Database& db_;
  std::map<std::string, std::shared_ptr<const Config>> known_;
};

/// Nothing where a damaged row has something else there.
template <class T>
std::optional<T> field(const json& row, const char* name) {
  if (!row.is_object()) return std::nullopt;
  const auto found = row.find(name);
  const T* value = found == row.end() ? nullptr : found->template get_ptr<const T*>();
  return value == nullptr ? std::nullopt : std::optional<T>(*value);
}

/// The decision's words and the state after it: all that a decision is.
json words_of(json decision, const State& after) {
  decision["next"] = to_json(after);
  return decision;
}

class Replay {
 public:
  Replay(Database& db, const std::function<void(const Difference&)>& differs) : configs_(db), differs_(differs) {}

  Status take(const Statement& row) {
    Status readable = rows_.read(row);
    Result<std::shared_ptr<const Config>> config = unreadable("");
    if (readable.ok()) {
      config = configs_.of(row.text(kConfig));
      if (!config.ok()) readable = config.error();
    }
    const json recorded = json::parse(row.text(kDecision), nullptr, false);
    const auto at = from_iso(field<std::string>(recorded, "at").value_or(""));
    if (readable.ok() && !at) readable = unreadable("the decision is damaged");
    if (!readable.ok()) {
      if (report_.unreadable++ == 0) report_.first_unreadable = readable.error().what;
      return Done{};
    }
    recompute(row, recorded, **config, *at);
    return Done{};
  }

  ReplayReport report() && { return std::move(report_); }

 private:
  void recompute(const Statement& row, const json& recorded, const Config& config, TimePoint at) {
    const std::string build = row.text(kBuild);
    if (std::find(report_.builds.begin(), report_.builds.end(), build) == report_.builds.end())
      report_.builds.push_back(build);
    Decision decision = decide(rows_.seen, rows_.before, config, at);
    decision.early = field<bool>(recorded, "early").value_or(false);  // said by the loop, which knows the cadence
    // Through text, as the record went: an error text of an engine may hold bytes that are no UTF-8.
    const std::string now = decision_row(decision);
    if (now == row.text(kDecision) && decision.next == rows_.after) {
      ++report_.same;
      return;
    }
    ++report_.different;
    differs_({decision.tick, at, build,
              lines_of(words_of(recorded, rows_.after), words_of(json::parse(now), decision.next))});
  }

  Rows rows_;
  Configs configs_;
  const std::function<void(const Difference&)>& differs_;
  ReplayReport report_;
};

}  // namespace

Result<ReplayReport> replay(Database& db, const std::function<void(const Difference&)>& differs) {
  Result<Statement> rows = db.prepare(kRows);
  if (!rows.ok()) return rows.error();
  Replay all(db, differs);
  for (;;) {
    const Result<bool> more = rows->step();
    if (!more.ok()) return more.error();
    if (!*more) break;
    if (Status taken = all.take(*rows); !taken.ok()) return taken.error();
  }
  return std::move(all).report();
}

}  // namespace ebb
