#include "daemon/runtime/store_verifier.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "daemon/ports/gather.hpp"

namespace ebb {

/// Of snapshots that were found whole. Weight maps are shared along a chain, so that this stays small.
struct StoreVerifier::Memory {
  std::deque<Lineage> known;

  [[nodiscard]] const Lineage* find(const Identity& identity) const {
    const auto at = std::find_if(known.begin(), known.end(), [&](const Lineage& l) { return l.identity == identity; });
    return at == known.end() ? nullptr : &*at;
  }
  void keep(Lineage lineage) {
    constexpr std::size_t kMost = 64;
    std::erase_if(known, [&](const Lineage& l) { return l.identity == lineage.identity; });
    known.push_back(std::move(lineage));
    if (known.size() > kMost) known.pop_front();
  }
};

namespace {

// One look; the caller looks again, and meanwhile can say what is missing.
constexpr Duration kLookMax{60'000};
// Enough to hide a far store's latency: 400 files at 50 ms each take a second and a quarter.
constexpr std::size_t kReadsAtOnce = 16;
// A layer's header is a few KiB; the first read has it, with the length before it, in nearly all cases.
constexpr std::int64_t kFirstRead = 32 << 10;
constexpr std::int64_t kConfigMax = 4 << 20;
// 100,000 tensors at 200 bytes are 20 MB.
constexpr std::int64_t kIndexMax = 256 << 20;

Verdict waiting(std::string reason) { return {Verdict::Kind::waiting, std::move(reason), 0}; }

/// What uploaders wrote goes to logs and terminals.
std::string one_line(std::string text) {
  constexpr std::size_t kMost = 500;
  if (text.size() > kMost) text.resize(kMost);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) c = ' ';
  }
  return text;
}

/// What every step of one look needs.
struct Look {
  std::shared_ptr<SnapshotStore> store;
  Identity identity;
  TimePoint until;
  std::map<std::string, std::int64_t> sizes;  ///< by file

  Look(std::shared_ptr<SnapshotStore> where, Identity whose, TimePoint deadline)
      : store(std::move(where)), identity(std::move(whose)), until(deadline) {}

  [[nodiscard]] Verdict damaged(const std::string& file, const std::string& why) const {
    const std::string reason = file + ": " + why;
    if (store->whole_files()) return {Verdict::Kind::malformed, reason, 0};
    return waiting(reason + "; it may still be being written");
  }
  /// Null: all are there.
  [[nodiscard]] std::optional<Verdict> missing(const std::vector<std::string>& files) const {
    std::size_t count = 0;
    std::string first;
    for (const std::string& file : files) {
      if (sizes.contains(file) || ++count > 1) continue;
      first = file;
    }
    if (count == 0) return std::nullopt;
    return waiting(first + (count == 1 ? " is missing" : " and " + std::to_string(count - 1) + " more are missing"));
  }
};

using LookPtr = std::shared_ptr<const Look>;

/// A file as a whole; its size is known.
awaitable<Result<std::string>> read_whole(LookPtr look, std::string file, std::int64_t most) {
  const std::int64_t size = look->sizes.at(file);
  if (size > most) co_return Error{ErrorCode::malformed, "it is longer than " + std::to_string(most) + " bytes", false};
  Result<std::string> text = co_await look->store->read(look->identity, file, 0, size, look->until);
  if (text.ok() && static_cast<std::int64_t>(text->size()) != size) {
    co_return Error{ErrorCode::conflict, file + " changed while it was read", true};
  }
  co_return text;
}

/// `malformed` errors are the file's fault, all others the store's.
awaitable<Result<TensorFile>> read_header(LookPtr look, std::string file) {
  const std::int64_t size = look->sizes.at(file);
  Result<std::string> head =
      co_await look->store->read(look->identity, file, 0, std::min(size, kFirstRead), look->until);
  if (!head.ok()) co_return Error{ErrorCode::unreachable, head.error().what, true};
  const Result<std::int64_t> length = safetensors_header_length(*head);
  if (!length.ok()) co_return length.error();
  const std::int64_t data = kSafetensorsPrefix + *length;
  if (data > size) co_return Error{ErrorCode::malformed, "it ends inside its header", false};
  const auto got = static_cast<std::int64_t>(head->size());
  if (got < data) {
    const Result<std::string> rest = co_await look->store->read(look->identity, file, got, data - got, look->until);
    if (!rest.ok()) co_return Error{ErrorCode::unreachable, rest.error().what, true};
    *head += *rest;
  }
  if (static_cast<std::int64_t>(head->size()) < data) {
    co_return Error{ErrorCode::unreachable, file + " changed while it was read", true};
  }
  Result<TensorFile> header = read_safetensors_header(
      std::string_view(*head).substr(static_cast<std::size_t>(kSafetensorsPrefix), static_cast<std::size_t>(*length)));
  if (header.ok() && data + header->data_bytes != size) {
    co_return Error{
        ErrorCode::malformed,
        "it has " + std::to_string(size) + " bytes, and its header says " + std::to_string(data + header->data_bytes),
        false};
  }
  co_return header;
}

/// The files still to be looked at, shared by the readers.
struct Shards {
  LookPtr look;
  bool delta = false;
  std::vector<std::pair<std::string, std::set<std::string>>> files;
  bool any_tensors = false;  ///< adapters: no index says which
  std::size_t next = 0;
  std::optional<Verdict> fault;

  explicit Shards(LookPtr of) : look(std::move(of)) {}
};

awaitable<Status> read_shards(std::shared_ptr<Shards> shards) {
  while (!shards->fault && shards->next < shards->files.size()) {
    const std::size_t mine = shards->next++;
    const Result<TensorFile> header = co_await read_header(shards->look, shards->files[mine].first);
    if (shards->fault) break;
    const auto& [file, named] = shards->files[mine];
    if (!header.ok()) {
      const bool damaged = header.error().code == ErrorCode::malformed;
      shards->fault = damaged ? shards->look->damaged(file, header.error().what) : waiting(header.error().what);
    } else if (!shards->any_tensors) {
      const std::string why = shard_fault(*header, named, shards->delta);
      if (!why.empty()) shards->fault = shards->look->damaged(file, why);
    }
  }
  co_return Done();
}

/// Null: all of them are as they should be.
awaitable<std::optional<Verdict>> look_at_shards(std::shared_ptr<Shards> shards, Clock& clock) {
  std::vector<awaitable<Status>> readers;
  const std::size_t count = std::min(kReadsAtOnce, shards->files.size());
  for (std::size_t i = 0; i < count; ++i) readers.push_back(read_shards(shards));
  const TimePoint until = shards->look->until;
  const std::vector<std::optional<Status>> ended = co_await gather(clock, std::move(readers), until);
  if (shards->fault) co_return shards->fault;
  const bool all = std::all_of(ended.begin(), ended.end(), [](const auto& one) { return one.has_value(); });
  if (!all) co_return waiting("the store is too slow: not all files could be looked at in time");
  co_return std::nullopt;
}

awaitable<std::optional<Verdict>> look_at_config(LookPtr look, std::string file) {
  if (auto gone = look->missing({file})) co_return gone;
  const Result<std::string> text = co_await read_whole(look, file, kConfigMax);
  if (!text.ok()) {
    const bool damaged = text.error().code == ErrorCode::malformed && look->sizes.at(file) > kConfigMax;
    co_return damaged ? look->damaged(file, text.error().what) : waiting(text.error().what);
  }
  if (const std::string fault = json_object_fault(*text); !fault.empty()) co_return look->damaged(file, fault);
  co_return std::nullopt;
}

awaitable<Result<TensorIndex>> load_index(LookPtr look) {
  std::string name = kIndexFile;
  const Result<std::string> text = co_await read_whole(look, std::move(name), kIndexMax);
  if (!text.ok()) co_return Error{ErrorCode::unreachable, text.error().what, true};
  co_return read_tensor_index(*text);
}

/// A model in one file needs no index.
awaitable<Result<TensorIndex>> index_of_single(LookPtr look) {
  std::string name = kSingleFile;
  const Result<TensorFile> header = co_await read_header(look, std::move(name));
  if (!header.ok()) co_return header.error();
  TensorIndex out;
  for (const auto& [tensor, held] : header->tensors) out.weight_map[tensor] = kSingleFile;
  co_return out;
}

Result<LookPtr> listed(std::shared_ptr<SnapshotStore> store, const Identity& identity, TimePoint until,
                       const Result<std::vector<StoredFile>>& files) {
  if (!files.ok()) return files.error();
  auto look = std::make_shared<Look>(std::move(store), identity, until);
  for (const StoredFile& file : *files) look->sizes[file.name] = file.size;
  return LookPtr(std::move(look));
}

/// Of a parent that nobody remembers: after a restart.
awaitable<Result<Lineage>> parent_in_store(std::shared_ptr<SnapshotStore> store, Snapshot parent, TimePoint until) {
  const Result<std::vector<StoredFile>> files = co_await store->list(parent.identity(), until);
  const Result<LookPtr> look = listed(store, parent.identity(), until, files);
  if (!look.ok()) co_return look.error();
  Lineage out;
  out.identity = parent.identity();
  if (!(*look)->sizes.contains(kIndexFile)) {
    if (!(*look)->sizes.contains(kSingleFile)) co_return Error{ErrorCode::not_found, "it has no index", false};
    const Result<TensorIndex> single = co_await index_of_single(*look);
    if (!single.ok()) co_return single.error();
    out.tensors = std::make_shared<const std::map<std::string, std::string>>(single->weight_map);
    co_return out;
  }
  Result<TensorIndex> index = co_await load_index(*look);
  if (!index.ok()) co_return index.error();
  if (const auto version = index->metadata.find("version"); version != index->metadata.end()) {
    out.version = version->second;
  }
  if (!index->is_delta()) {
    out.tensors = std::make_shared<const std::map<std::string, std::string>>(std::move(index->weight_map));
  }
  co_return out;
}

std::int64_t total_of(const Look& look) {
  std::int64_t bytes = 0;
  for (const auto& [file, size] : look.sizes) bytes += size;
  return bytes;
}

awaitable<Verdict> look_at_adapter(LookPtr look, Clock& clock) {
  std::string config = kAdapterConfigFile;
  if (auto fault = co_await look_at_config(look, std::move(config))) co_return *fault;
  std::vector<std::string> names;
  for (const auto& [file, size] : look->sizes) names.push_back(file);
  const std::vector<std::string> weights = adapter_files(names);
  if (weights.empty()) co_return waiting("adapter_model.safetensors is missing, and so are parts of it");
  auto shards = std::make_shared<Shards>(look);
  shards->any_tensors = true;
  for (const std::string& file : weights) {
    if (look->sizes.at(file) == 0) co_return look->damaged(file, "it is empty");
    if (!file.ends_with(".bin")) shards->files.emplace_back(file, std::set<std::string>());
  }
  if (auto fault = co_await look_at_shards(shards, clock)) co_return *fault;
  co_return Verdict{Verdict::Kind::verified, "", total_of(*look)};
}

/// The index, or the verdict that ends the look.
struct IndexFound {
  TensorIndex index;
  std::optional<Verdict> fault;
};

awaitable<IndexFound> find_index(LookPtr look, bool full) {
  IndexFound out;
  const bool single = full && !look->sizes.contains(kIndexFile) && look->sizes.contains(kSingleFile);
  if (!single) out.fault = look->missing({kIndexFile});
  if (out.fault) co_return out;
  awaitable<Result<TensorIndex>> reading = single ? index_of_single(look) : load_index(look);
  Result<TensorIndex> index = co_await std::move(reading);
  if (index.ok()) {
    out.index = std::move(*index);
  } else if (index.error().code == ErrorCode::malformed) {
    out.fault = look->damaged(single ? kSingleFile : kIndexFile, index.error().what);
  } else {
    out.fault = waiting(index.error().what);
  }
  co_return out;
}

/// What it is to be remembered by.
Lineage lineage_of(const Snapshot& snapshot, TensorIndex index, const Lineage* parent) {
  Lineage out;
  out.identity = snapshot.identity();
  if (const auto version = index.metadata.find("version"); version != index.metadata.end()) {
    out.version = version->second;
  }
  if (index.is_delta()) {
    if (parent != nullptr) out.tensors = parent->tensors;
  } else {
    out.tensors = std::make_shared<const std::map<std::string, std::string>>(std::move(index.weight_map));
  }
  return out;
}

awaitable<Verdict> look_at_model(LookPtr look, Snapshot snapshot, std::optional<Lineage> parent, Clock& clock,
                                 std::shared_ptr<StoreVerifier::Memory> memory) {
  IndexFound found = co_await find_index(look, snapshot.full());
  if (found.fault) co_return *found.fault;
  const Lineage* below = parent ? &*parent : nullptr;
  const bool delta = found.index.is_delta();
  if (const std::string fault = index_fault(snapshot, found.index, below); !fault.empty()) {
    co_return look->damaged(kIndexFile, fault);
  }
  // An increment of slime's kind is applied to a checkpoint that has a config.json.
  std::string config = kConfigFile;
  if (!delta) {
    if (auto fault = co_await look_at_config(look, std::move(config))) co_return *fault;
  }
  auto shards = std::make_shared<Shards>(look);
  shards->delta = delta;
  std::vector<std::string> files;
  for (auto& [file, named] : by_file(found.index)) {
    files.push_back(file);
    shards->files.emplace_back(file, named);
  }
  if (auto gone = look->missing(files)) co_return *gone;
  if (auto fault = co_await look_at_shards(shards, clock)) co_return *fault;
  memory->keep(lineage_of(snapshot, std::move(found.index), below));
  co_return Verdict{Verdict::Kind::verified, "", total_of(*look)};
}

awaitable<Verdict> look_at(std::shared_ptr<SnapshotStore> store, bool adapter, Snapshot snapshot,
                           std::optional<Snapshot> parent, TimePoint until, Clock& clock,
                           std::shared_ptr<StoreVerifier::Memory> memory) {
  const Result<std::vector<StoredFile>> files = co_await store->list(snapshot.identity(), until);
  const Result<LookPtr> look = listed(store, snapshot.identity(), until, files);
  if (!look.ok()) co_return waiting(look.error().what);
  if (adapter) co_return co_await look_at_adapter(*look, clock);
  std::optional<Lineage> below;
  if (parent) {
    if (const Lineage* known = memory->find(parent->identity())) {
      below = *known;
    } else {
      Result<Lineage> read = co_await parent_in_store(store, *parent, until);
      if (!read.ok()) co_return waiting("its parent " + parent->identity().value + ": " + read.error().what);
      below = std::move(*read);
    }
  }
  co_return co_await look_at_model(*look, std::move(snapshot), std::move(below), clock, std::move(memory));
}

}  // namespace

StoreVerifier::StoreVerifier(std::shared_ptr<SnapshotStore> store, bool adapter, Clock& clock)
    : store_(std::move(store)), adapter_(adapter), clock_(clock), memory_(std::make_shared<Memory>()) {}

awaitable<Verdict> StoreVerifier::verify(Snapshot snapshot, std::optional<Snapshot> parent, TimePoint deadline) {
  const TimePoint now = clock_.now();
  const TimePoint until = std::min(deadline, now + kLookMax);
  // Its steps end a little earlier, so that what they found out is said.
  const TimePoint inner = now + (until - now) * 9 / 10;
  std::vector<awaitable<Verdict>> tasks;
  tasks.push_back(look_at(store_, adapter_, std::move(snapshot), std::move(parent), inner, clock_, memory_));
  std::vector<std::optional<Verdict>> verdicts = co_await gather(clock_, std::move(tasks), until);
  if (!verdicts[0]) co_return waiting("the store does not answer in time");
  Verdict verdict = std::move(*verdicts[0]);
  verdict.reason = one_line(std::move(verdict.reason));
  co_return verdict;
}

}  // namespace ebb
