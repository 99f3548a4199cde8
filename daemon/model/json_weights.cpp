// Each struct shows its fields once, to a writer or to a reader: what is written is what is read.
#include "daemon/model/json_weights.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <type_traits>

namespace ebb {
namespace {

using nlohmann::json;

/// Inside this file only; the public functions turn it into Error{malformed}.
struct Bad : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class A, class T>
void fields(A& a, T& value);

template <class E>
constexpr int kCount = 0;
template <>
constexpr int kCount<SnapshotKind> = 2;
template <>
constexpr int kCount<SnapshotPhase> = 8;
template <>
constexpr int kCount<WeightsPhase> = 6;
template <>
constexpr int kCount<LoadPhase> = 4;
template <>
constexpr int kCount<LoadTransitionMode> = 2;
template <>
constexpr int kCount<ResetCache> = 3;

// ---------------------------------------------------------------- writing

json written(const std::string& v) { return v; }
json written(bool v) { return v; }
json written(double v) { return v; }
json written(int v) { return v; }
json written(std::int64_t v) { return v; }
json written(TimePoint v) { return v == TimePoint{} ? json() : json(to_iso(v)); }
template <class Tag>
json written(const Id<Tag>& v) {
  return v.value;
}
template <class E>
requires std::is_enum_v<E> json written(E v) { return to_string(v); }
template <class T>
json written(const std::optional<T>& v);
template <class T>
json written(const std::vector<T>& v);
template <class T>
json written(const std::set<T>& v);
template <class Tag, class T>
json written(const std::map<Id<Tag>, T>& v);
template <class T>
requires std::is_class_v<T> json written(const T& v);

struct Writer {
  json out = json::object();
  template <class T>
  void operator()(const char* name, const T& v) {
    json value = written(v);
    if (!value.is_null()) out[name] = std::move(value);
  }
};

template <class T>
requires std::is_class_v<T> json written(const T& v) {
  Writer writer;
  fields(writer, const_cast<T&>(v));
  return std::move(writer.out);
}
template <class T>
json written(const std::optional<T>& v) {
  return v ? written(*v) : json();
}
template <class T>
json written(const std::vector<T>& v) {
  json out = json::array();
  for (const T& one : v) out.push_back(written(one));
  return out;
}
template <class T>
json written(const std::set<T>& v) {
  json out = json::array();
  for (const T& one : v) out.push_back(written(one));
  return out;
}
template <class Tag, class T>
json written(const std::map<Id<Tag>, T>& v) {
  json out = json::object();
  for (const auto& [name, one] : v) out[name.value] = written(one);
  return out;
}

// ---------------------------------------------------------------- reading

void take(const json& j, std::string& v) {
  if (!j.is_string()) throw Bad("is not a string");
  v = j.get<std::string>();
}
void take(const json& j, bool& v) {
  if (!j.is_boolean()) throw Bad("is not true or false");
  v = j.get<bool>();
}
void take(const json& j, double& v) {
  if (!j.is_number()) throw Bad("is not a number");
  v = j.get<double>();
}
void take(const json& j, std::int64_t& v) {
  if (!j.is_number_integer()) throw Bad("is not an integer");
  v = j.get<std::int64_t>();
}
void take(const json& j, int& v) {
  std::int64_t wide = 0;
  take(j, wide);
  if (wide < INT32_MIN || wide > INT32_MAX) throw Bad("is out of range");
  v = static_cast<int>(wide);
}
void take(const json& j, TimePoint& v) {
  std::string text;
  take(j, text);
  const auto at = from_iso(text);
  if (!at) throw Bad("is not a time");
  v = *at;
}
template <class Tag>
void take(const json& j, Id<Tag>& v) {
  take(j, v.value);
}
template <class E>
requires std::is_enum_v<E>
void take(const json& j, E& v) {
  std::string word;
  take(j, word);
  for (int i = 0; i < kCount<E>; ++i) {
    if (word == to_string(static_cast<E>(i))) {
      v = static_cast<E>(i);
      return;
    }
  }
  throw Bad("is '" + word + "', which is none of its words");
}
template <class T>
void take(const json& j, std::optional<T>& v);
template <class T>
void take(const json& j, std::vector<T>& v);
template <class T>
void take(const json& j, std::set<T>& v);
template <class Tag, class T>
void take(const json& j, std::map<Id<Tag>, T>& v);
template <class T>
requires std::is_class_v<T>
void take(const json& j, T& v);

/// What is absent keeps its default: an empty time or option is not written.
struct Reader {
  const json& in;
  template <class T>
  void operator()(const char* name, T& v) {
    const auto at = in.find(name);
    if (at == in.end()) return;
    try {
      take(*at, v);
    } catch (const Bad& bad) {
      throw Bad(std::string("'") + name + "' " + bad.what());
    }
  }
};

template <class T>
requires std::is_class_v<T>
void take(const json& j, T& v) {
  if (!j.is_object()) throw Bad("is not an object");
  Reader reader{j};
  fields(reader, v);
}
template <class T>
void take(const json& j, std::optional<T>& v) {
  take(j, v.emplace());
}
template <class T>
void take(const json& j, std::vector<T>& v) {
  if (!j.is_array()) throw Bad("is not a list");
  for (const json& one : j) take(one, v.emplace_back());
}
template <class T>
void take(const json& j, std::set<T>& v) {
  if (!j.is_array()) throw Bad("is not a list");
  for (const json& one : j) {
    T value;
    take(one, value);
    v.insert(std::move(value));
  }
}
template <class Tag, class T>
void take(const json& j, std::map<Id<Tag>, T>& v) {
  if (!j.is_object()) throw Bad("is not an object");
  for (const auto& [name, one] : j.items()) take(one, v[Id<Tag>(name)]);
}

// ---------------------------------------------------------------- the fields

template <class A>
void show(A& a, Publication& v) {
  a("identity", v.identity), a("kind", v.kind), a("parent", v.parent), a("run", v.run), a("step", v.step);
  a("reset_prompt_cache", v.reset_cache), a("compression_format", v.compression_format);
  a("checksum_format", v.checksum_format), a("ignored_options", v.ignored_options);
}
template <class A>
void show(A& a, Snapshot& v) {
  a("said", v.said), a("run", v.run), a("step", v.step), a("bytes", v.bytes), a("phase", v.phase);
  a("published_at", v.published_at), a("since", v.since), a("reason", v.reason);
}
template <class A>
void show(A& a, SnapshotPlan& v) {
  a("kind", v.kind), a("identity", v.identity), a("previous_identity", v.parent), a("run", v.run), a("step", v.step);
  a("reason", v.reason);
}
template <class A>
void show(A& a, Chain& v) {
  a("run", v.run), a("links", v.links), a("waiting", v.waiting), a("served", v.served), a("strays", v.strays);
  a("why_full", v.why_full), a("generation", v.generation), a("planned", v.planned);
}
template <class A>
void show(A& a, ReplicaWeights& v) {
  a("phase", v.phase), a("since", v.since), a("incarnation", v.incarnation), a("loaded", v.loaded);
  a("ready", v.ready), a("target", v.target), a("error", v.error), a("failures", v.failures);
  a("missing_since", v.missing_since), a("reload", v.reload), a("counted", v.counted);
}
template <class A>
void show(A& a, LoadOrder& v) {
  a("id", v.id), a("job", v.job), a("deployment", v.deployment), a("replicas", v.replicas), a("path", v.path);
  a("transition", v.transition), a("reset_prompt_cache", v.reset_cache);
}
template <class A>
void show(A& a, HotLoad& v) {
  a("phase", v.phase), a("order", v.order), a("since", v.since), a("began", v.began), a("deadline", v.deadline);
  a("send_at", v.send_at), a("attempts", v.attempts), a("problem", v.problem);
}
template <class A>
void show(A& a, DeploymentWeights& v) {
  a("load", v.load), a("replicas", v.replicas), a("paused", v.paused), a("condition", v.condition);
  a("newcomers_next", v.newcomers_next);
}
template <class A>
void show(A& a, WeightsMeasures& v) {
  a("full_load_s", v.full_load_s), a("incremental_load_s", v.incremental_load_s), a("full_bytes", v.full_bytes);
  a("incremental_bytes", v.incremental_bytes), a("publish_interval_s", v.publish_interval_s);
  a("joins_per_snapshot", v.joins_per_snapshot), a("joins", v.joins), a("last_published", v.last_published);
}
template <class A>
void show(A& a, JobWeights& v) {
  a("chain", v.chain), a("deployments", v.deployments), a("measures", v.measures), a("orders", v.orders);
}
template <class A, class T>
void fields(A& a, T& value) {
  show(a, value);
}

template <class T>
Result<T> read(const json& j) {
  try {
    T out;
    take(j, out);
    return out;
  } catch (const std::exception& bad) {
    return Error{ErrorCode::malformed, bad.what(), false};
  }
}

}  // namespace

json to_json(const Snapshot& snapshot) { return written(snapshot); }
json to_json(const SnapshotPlan& plan) { return written(plan); }
json to_json(const JobWeights& weights) { return written(weights); }
Result<Snapshot> snapshot_from(const json& j) { return read<Snapshot>(j); }
Result<JobWeights> job_weights_from(const json& j) { return read<JobWeights>(j); }

}  // namespace ebb
