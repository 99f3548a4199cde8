#include "daemon/pull/shelf.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "daemon/model/json_text.hpp"
#include "daemon/pull/strict_json.hpp"

namespace ebb::pull {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kMarker = ".ebb-pull.json";
constexpr const char* kHome = "/.ebb-pull";
constexpr std::size_t kMarkerMax = 64u << 20;
constexpr int kDepthMax = 4;

json to_json(const Complete& snapshot) {
  json files = json::object();
  for (const FileSize& file : snapshot.files) files[file.name] = file.bytes;
  json marker{{"identity", snapshot.identity}, {"kind", to_string(snapshot.kind)},
              {"parent", snapshot.parent},     {"files", files},
              {"asked", snapshot.asked},       {"sequence", snapshot.sequence}};
  if (snapshot.version) marker["version"] = *snapshot.version;
  return marker;
}

std::optional<Complete> from_json(const std::string& text) {
  const Result<json> read = parse_strictly(text, kDepthMax);
  if (!read.ok() || !read->is_object()) return std::nullopt;
  try {
    Complete snapshot;
    snapshot.identity = read->at("identity").get<std::string>();
    snapshot.kind = read->at("kind") == "full" ? SnapshotKind::full : SnapshotKind::incremental;
    snapshot.parent = read->at("parent").get<std::string>();
    snapshot.asked = read->at("asked").get<bool>();
    snapshot.sequence = read->at("sequence").get<std::uint64_t>();
    if (read->contains("version")) snapshot.version = read->at("version").get<std::string>();
    for (const auto& [name, bytes] : read->at("files").items())
      snapshot.files.push_back({name, bytes.get<std::uint64_t>()});
    return snapshot;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

/// Whether the directory holds what its marker says. Sizes only: to read it all would take minutes.
bool is_whole(const std::string& directory, const std::string& identity, const Complete& snapshot) {
  if (snapshot.identity != identity) return false;
  return std::all_of(snapshot.files.begin(), snapshot.files.end(), [&](const FileSize& file) {
    struct stat now {};
    return ::stat((directory + "/" + file.name).c_str(), &now) == 0 && S_ISREG(now.st_mode) &&
           static_cast<std::uint64_t>(now.st_size) == file.bytes;
  });
}

/// Read only, since other snapshots may share the file; and the directories it is in, synced.
Status seal(const std::string& directory, const std::vector<FileSize>& files) {
  for (const FileSize& file : files) {
    const std::string path = directory + "/" + file.name;
    if (::chmod(path.c_str(), 0444) != 0) return io_error("cannot make " + path + " read only", errno);
  }
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(directory, error)) {
    if (!entry.is_directory()) continue;
    if (Status synced = sync_directory(entry.path().string()); !synced.ok()) return synced;
  }
  return sync_directory(directory);
}

}  // namespace

std::uint64_t Complete::bytes() const {
  std::uint64_t sum = 0;
  for (const FileSize& file : files) sum += file.bytes;
  return sum;
}

Result<std::unique_ptr<Shelf>> Shelf::open(const std::string& directory) {
  std::unique_ptr<Shelf> shelf(new Shelf(directory));
  if (Status ready = shelf->prepare(); !ready.ok()) return ready.error();
  shelf->read_markers();
  return shelf;
}

Status Shelf::prepare() {
  std::error_code error;
  for (const char* below : {"/download", "/trash"}) {
    fs::create_directories(directory_ + kHome + below, error);
    if (error) return io_error("cannot make " + directory_ + kHome + below, error.value());
  }
  Result<Fd> lock = shim::take_lock(directory_ + kHome + "/lock");
  if (!lock.ok() && lock.error().code == ErrorCode::conflict)
    return Error{ErrorCode::conflict, "another ebb-pull works in " + directory_, true};
  if (!lock.ok()) return lock.error();
  lock_ = std::move(*lock);
  throw_away(directory_ + kHome + "/build");
  for (const auto& entry : fs::directory_iterator(directory_ + kHome + "/trash", error))
    fs::remove_all(entry.path(), error);
  fs::create_directories(directory_ + kHome + "/build", error);
  if (error) return io_error("cannot make " + directory_ + kHome + "/build", error.value());
  return Done{};
}

void Shelf::read_markers() {
  std::error_code error;
  std::vector<std::string> damaged;
  for (const auto& entry : fs::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (!identity_fault(name).empty() || !entry.is_directory()) continue;
    const auto text = shim::read_file(entry.path().string() + "/" + kMarker, kMarkerMax);
    if (!text) continue;
    const std::optional<Complete> snapshot = from_json(*text);
    if (!snapshot || !is_whole(entry.path().string(), name, *snapshot)) {
      damaged.push_back(name);
      continue;
    }
    sequence_ = std::max(sequence_, snapshot->sequence);
    complete_[name] = *snapshot;
  }
  for (const std::string& name : damaged) {
    spdlog::warn("snapshot={} is=damaged action=deleted", name);
    throw_away(path(name));
  }
}

std::optional<Complete> Shelf::find(const std::string& identity) const {
  const std::lock_guard lock(mutex_);
  const auto found = complete_.find(identity);
  return found == complete_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<Complete> Shelf::all() const {
  std::vector<Complete> out;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [identity, snapshot] : complete_) out.push_back(snapshot);
  }
  std::sort(out.begin(), out.end(), [](const Complete& a, const Complete& b) { return a.sequence > b.sequence; });
  return out;
}

std::string Shelf::download_path(const std::string& identity) const {
  return directory_ + kHome + "/download/" + identity;
}
std::string Shelf::journal_path(const std::string& identity) const {
  // An identity has no slash and never ends up beside one that is another's with this ending: "#" is no letter of one.
  return directory_ + kHome + "/download/" + identity + "#journal";
}

Result<std::string> Shelf::start_build(const std::string& identity) {
  const std::string path = directory_ + kHome + "/build/" + identity;
  throw_away(path);
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return io_error("cannot make " + path, error.value());
  return path;
}

void Shelf::drop_build(const std::string& identity) { throw_away(directory_ + kHome + "/build/" + identity); }

Status Shelf::write_marker(const std::string& directory, const Complete& snapshot) const {
  Status written = shim::replace_file(directory, kMarker, json_text(to_json(snapshot)) + "\n", shim::Sync::yes);
  if (written.ok()) ::chmod((directory + "/" + kMarker).c_str(), 0644);
  return written;
}

Status Shelf::commit(const std::string& from, Complete snapshot) {
  const std::string to = path(snapshot.identity);
  if (::access(to.c_str(), F_OK) == 0)
    return Error{ErrorCode::conflict, to + " exists and was not made by ebb-pull; move it away", false};
  if (Status sealed = seal(from, snapshot.files); !sealed.ok()) return sealed;
  const std::lock_guard lock(mutex_);
  snapshot.sequence = sequence_ + 1;
  if (Status marked = write_marker(from, snapshot); !marked.ok()) return marked;
  if (::rename(from.c_str(), to.c_str()) != 0) return io_error("cannot rename " + from + " to " + to, errno);
  if (Status synced = sync_directory(directory_); !synced.ok()) return synced;
  sequence_ = snapshot.sequence;
  complete_[snapshot.identity] = std::move(snapshot);
  return Done{};
}

Status Shelf::touch(const std::string& identity) {
  const std::lock_guard lock(mutex_);
  const auto found = complete_.find(identity);
  if (found == complete_.end()) return Error{ErrorCode::not_found, identity + " is not here", true};
  if (found->second.asked && found->second.sequence == sequence_) return Done{};
  Complete changed = found->second;
  changed.asked = true;
  changed.sequence = sequence_ + 1;
  if (Status marked = write_marker(path(identity), changed); !marked.ok()) return marked;
  sequence_ = changed.sequence;
  found->second = changed;
  return Done{};
}

std::vector<std::string> Shelf::prune(std::size_t keep, const std::string& stays) {
  std::vector<Complete> worst_last = all();
  std::stable_sort(worst_last.begin(), worst_last.end(), [&](const Complete& a, const Complete& b) {
    if ((a.identity == stays) != (b.identity == stays)) return a.identity == stays;
    return a.asked && !b.asked;
  });
  std::vector<std::string> gone;
  while (worst_last.size() > std::max<std::size_t>(keep, 1)) {
    gone.push_back(worst_last.back().identity);
    worst_last.pop_back();
  }
  for (const std::string& identity : gone) {
    {
      const std::lock_guard lock(mutex_);
      complete_.erase(identity);
    }
    throw_away(path(identity));
  }
  return gone;
}

void Shelf::throw_away(const std::string& path) {
  // Out of the way in one step, so that a snapshot that is half deleted is never taken for one.
  const std::string trash =
      directory_ + kHome + "/trash/" + std::to_string(::getpid()) + "-" + std::to_string(++trash_);
  std::error_code error;
  if (::rename(path.c_str(), trash.c_str()) == 0) fs::remove_all(trash, error);
  if (error) spdlog::warn("delete={} problem=\"{}\"", trash, error.message());
}

void Shelf::drop_download(const std::string& identity) {
  ::unlink(journal_path(identity).c_str());
  throw_away(download_path(identity));
}

void Shelf::drop_downloads_except(const std::vector<std::string>& identities) {
  std::vector<std::string> strangers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_ + kHome + "/download", error)) {
    std::string name = entry.path().filename().string();
    name = name.substr(0, name.find('#'));
    if (std::find(identities.begin(), identities.end(), name) == identities.end()) strangers.push_back(name);
  }
  for (const std::string& name : strangers) drop_download(name);
}

}  // namespace ebb::pull
