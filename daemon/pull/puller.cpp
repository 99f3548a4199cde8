#include "daemon/pull/puller.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "daemon/pull/full_check.hpp"

namespace ebb::pull {
namespace {

Error malformed(const std::string& what) { return Error{ErrorCode::malformed, what, false}; }

const Object* find(const std::vector<Object>& objects, const std::string& name) {
  const auto found =
      std::find_if(objects.begin(), objects.end(), [&](const Object& object) { return object.name == name; });
  return found == objects.end() ? nullptr : &*found;
}

std::uint64_t bytes_of(const std::vector<Object>& objects) {
  std::uint64_t sum = 0;
  for (const Object& object : objects) sum += object.size;
  return sum;
}

std::vector<std::string> identities(const Path& path) {
  std::vector<std::string> out;
  for (const PathStep& step : path) out.push_back(step.identity);
  return out;
}

/// What is here already under this name must be what is meant.
Status check_same(const Complete& here, const PathStep& said) {
  if (here.kind == said.kind && here.parent == said.parent) return Done{};
  const auto story = [](SnapshotKind kind, const std::string& parent) {
    return std::string(to_string(kind)) + (parent.empty() ? "" : " on " + parent);
  };
  return Error{ErrorCode::conflict,
               said.identity + " is here as " + story(here.kind, here.parent) + ", and asked for as " +
                   story(said.kind, said.parent),
               false};
}

}  // namespace

std::string path_fault(const Path& path) {
  if (path.empty()) return "the path is empty";
  if (path.size() > kPathMax) return "the path has more than " + std::to_string(kPathMax) + " snapshots";
  std::set<std::string> seen;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const PathStep& step = path[i];
    for (const std::string& name : {step.identity, step.parent}) {
      if (&name != &step.identity && name.empty()) continue;
      if (const std::string fault = identity_fault(name); !fault.empty()) return "path: " + fault;
    }
    if (!seen.insert(step.identity).second) return "the path has '" + step.identity + "' twice";
    const bool full = step.kind == SnapshotKind::full;
    if (full && !step.parent.empty()) return "'" + step.identity + "' is full and has a parent";
    if (full && i > 0) return "'" + step.identity + "' is full: the path begins with it";
    if (!full && step.parent.empty()) return "'" + step.identity + "' is incremental and has no parent";
    if (i > 0 && step.parent != path[i - 1].identity)
      return "a link is missing: '" + step.identity + "' stands on '" + step.parent + "', and before it comes '" +
             path[i - 1].identity + "'";
  }
  return "";
}

Status Puller::pull(const Path& path, Progress& progress, const Stop& stop) {
  if (const std::string fault = path_fault(path); !fault.empty()) return Error{ErrorCode::invalid, fault, false};
  const std::string& wanted = path.back().identity;
  for (const PathStep& step : path) {
    const std::optional<Complete> here = shelf_.find(step.identity);
    if (!here) continue;
    if (Status same = check_same(*here, step); !same.ok()) return same;
  }
  if (shelf_.find(wanted)) return shelf_.touch(wanted);
  shelf_.drop_downloads_except(identities(path));
  std::size_t next = path.size();
  std::optional<Complete> base;
  while (next > 0 && !base) base = shelf_.find(path[--next].identity);
  if (base) ++next;
  if (!base && path.front().kind == SnapshotKind::incremental) {
    base = shelf_.find(path.front().parent);
    if (!base)
      return Error{ErrorCode::not_found,
                   "a link is missing: '" + path.front().identity + "' stands on '" + path.front().parent +
                       "', which is not here",
                   false};
  }
  if (!base) {
    if (Status pulled = pull_full(path.front(), path.size() == 1, progress, stop); !pulled.ok()) return pulled;
    base = shelf_.find(path.front().identity);
    next = 1;
  }
  if (next < path.size()) {
    const Path rest(path.begin() + static_cast<std::ptrdiff_t>(next), path.end());
    if (Status applied = apply(*base, rest, progress, stop); !applied.ok()) return applied;
  }
  drop_old(wanted);
  return Done{};
}

Result<std::vector<Object>> Puller::list(const std::string& identity, const Stop& stop) {
  std::vector<Object> objects;
  const Status listed = with_retries(options_.transfer, stop, [&]() -> Status {
    Result<std::vector<Object>> found = store_.list(identity, stop);
    if (!found.ok()) return found.error();
    objects = std::move(*found);
    return Done{};
  });
  if (!listed.ok()) return listed.error();
  return objects;
}

Status Puller::pull_full(const PathStep& step, bool asked, Progress& progress, const Stop& stop) {
  const Result<std::vector<Object>> objects = list(step.identity, stop);
  if (!objects.ok()) return objects.error();
  progress.total += bytes_of(*objects);
  const Wanted wanted{step.identity, *objects, shelf_.download_path(step.identity), shelf_.journal_path(step.identity)};
  spdlog::info("snapshot={} kind=full pull=begun files={} bytes={} from={}", step.identity, objects->size(),
               bytes_of(*objects), store_.place(step.identity));
  if (Status done = download(store_, wanted, options_.transfer, progress, stop); !done.ok()) return done;
  Complete snapshot;
  snapshot.identity = step.identity;
  snapshot.asked = asked;
  for (const Object& object : *objects) snapshot.files.push_back({object.name, object.size});
  const Result<FullSnapshot> whole = check_full(wanted.directory, snapshot.files);
  if (!whole.ok()) {
    // What is wrong in the store may be mended there; half of it must not be taken from here then.
    shelf_.drop_download(step.identity);
    return Error{whole.error().code, step.identity + ": " + whole.error().what, whole.error().retryable};
  }
  snapshot.version = whole->version;
  if (Status committed = shelf_.commit(wanted.directory, snapshot); !committed.ok()) return committed;
  shelf_.drop_download(step.identity);
  spdlog::info("snapshot={} kind=full pull=ready bytes={}", step.identity, snapshot.bytes());
  return Done{};
}

/// Its index and its shards; manifests are the base's by rule.
Result<Increment> Puller::fetch_increment(const PathStep& step, Progress& progress, const Stop& stop) {
  const Result<std::vector<Object>> objects = list(step.identity, stop);
  if (!objects.ok()) return objects.error();
  Wanted wanted{step.identity, {}, shelf_.download_path(step.identity), shelf_.journal_path(step.identity)};
  for (const Object& object : *objects) {
    const bool shard = ends_with(object.name, ".safetensors") && object.name.find('/') == std::string::npos;
    if (shard || object.name == kIndexName) wanted.objects.push_back(object);
  }
  const Object* index_object = find(wanted.objects, kIndexName);
  if (index_object == nullptr) return malformed(step.identity + " has no " + kIndexName);
  if (index_object->size > kIndexMax) return malformed(step.identity + ": the index is longer than 64 MiB");
  progress.total += bytes_of(wanted.objects);
  if (Status done = download(store_, wanted, options_.transfer, progress, stop); !done.ok()) return done.error();
  const auto text = shim::read_file(wanted.directory + "/" + kIndexName, kIndexMax);
  if (!text) return malformed(step.identity + ": the index cannot be read");
  Result<Index> index = index_from(*text);
  if (!index.ok()) return Error{index.error().code, step.identity + ": " + index.error().what, false};
  const std::set<std::string> named = index->file_names();
  for (const Object& object : wanted.objects) {
    // A torn index would otherwise lose changes without a trace.
    if (object.name != kIndexName && !named.contains(object.name))
      return malformed(step.identity + ": " + object.name + " is there, and the index does not name it");
  }
  for (const std::string& name : named) {
    if (find(wanted.objects, name) == nullptr)
      return malformed(step.identity + ": the index names " + name + ", which is not there");
  }
  return Increment{step.identity, wanted.directory, std::move(*index)};
}

Status Puller::apply(const Complete& base, const Path& rest, Progress& progress, const Stop& stop) {
  const PathStep& wanted = rest.back();
  spdlog::info("snapshot={} kind=incremental pull=begun base={} increments={}", wanted.identity, base.identity,
               rest.size());
  Build job;
  const auto drop = [&] {
    for (const PathStep& step : rest) shelf_.drop_download(step.identity);
  };
  for (const PathStep& step : rest) {
    Result<Increment> increment = fetch_increment(step, progress, stop);
    if (!increment.ok()) {
      if (!increment.error().retryable) shelf_.drop_download(step.identity);
      return increment.error();
    }
    job.increments.push_back(std::move(*increment));
  }
  Result<std::string> target = shelf_.start_build(wanted.identity);
  if (!target.ok()) return target.error();
  job.base = base;
  job.base_directory = shelf_.path(base.identity);
  job.target_directory = *target;
  job.threads = options_.build_threads;
  Result<Built> built = build(job, progress, stop);
  if (!built.ok()) {
    shelf_.drop_build(wanted.identity);
    // Damaged on the way or in the store: the next pull fetches it again.
    if (!built.error().retryable) drop();
    return built.error();
  }
  Complete snapshot;
  snapshot.identity = wanted.identity;
  snapshot.kind = SnapshotKind::incremental;
  snapshot.parent = wanted.parent;
  snapshot.version = built->version;
  snapshot.files = std::move(built->files);
  snapshot.asked = true;
  if (Status committed = shelf_.commit(*target, snapshot); !committed.ok()) return committed;
  drop();
  spdlog::info("snapshot={} kind=incremental pull=ready bytes={} written={} tensors_changed={}", wanted.identity,
               snapshot.bytes(), built->bytes_written, built->tensors_changed);
  return Done{};
}

void Puller::drop_old(const std::string& stays) {
  for (const std::string& gone : shelf_.prune(options_.keep, stays))
    spdlog::info("snapshot={} action=deleted keep={}", gone, options_.keep);
}

}  // namespace ebb::pull
