#include "daemon/pull/journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "daemon/model/json_text.hpp"
#include "daemon/pull/strict_json.hpp"
#include "daemon/shim/process_info.hpp"

namespace ebb::pull {
namespace {

using nlohmann::json;

constexpr std::size_t kJournalMax = 256u << 20;  ///< 4 million parts
constexpr int kDepthMax = 2;

struct Found {
  std::map<std::string, Object> objects;
  std::map<std::string, std::set<std::uint64_t>> parts;
  std::set<std::string> whole;
};

/// A line that cannot be read, the last one of a killed process for one, says nothing.
void take(const json& line, const std::string& boot, std::uint64_t part_bytes, bool& parts_count, Found& found) {
  if (!line.is_object()) return;
  if (line.contains("boot")) {
    parts_count = line["boot"] == boot && line.contains("part_bytes") && line["part_bytes"] == part_bytes;
    return;
  }
  if (!line.contains("name") || !line["name"].is_string()) return;
  const auto name = line["name"].get<std::string>();
  if (line.contains("size") && line["size"].is_number_unsigned() && line.contains("tag") && line["tag"].is_string()) {
    found.objects[name] = {name, line["size"].get<std::uint64_t>(), line["tag"].get<std::string>()};
  } else if (line.contains("part") && line["part"].is_number_unsigned() && parts_count) {
    found.parts[name].insert(line["part"].get<std::uint64_t>());
  } else if (line.contains("whole")) {
    found.whole.insert(name);
  }
}

Found read_back(const std::string& path, const std::string& boot, std::uint64_t part_bytes) {
  Found found;
  const std::string text = shim::read_file(path, kJournalMax).value_or("");
  bool parts_count = false;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = text.find('\n', from);
    if (end == std::string::npos) break;
    const Result<json> line = parse_strictly(std::string_view(text).substr(from, end - from), kDepthMax);
    if (line.ok()) take(*line, boot, part_bytes, parts_count, found);
    from = end + 1;
  }
  return found;
}

bool has_size(const std::string& path, std::uint64_t size) {
  std::error_code error;
  const auto now = std::filesystem::file_size(path, error);
  return !error && now == size;
}

std::string line_of(json value) { return json_text(value) + "\n"; }
std::string part_line(const std::string& name, std::uint64_t part) { return line_of({{"name", name}, {"part", part}}); }
std::string whole_line(const std::string& name) { return line_of({{"name", name}, {"whole", true}}); }

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path, const std::string& directory,
                                               const std::vector<Object>& objects, std::uint64_t part_bytes) {
  const std::string boot = shim::boot_id();
  Found found = read_back(path, boot, part_bytes);
  std::unique_ptr<Journal> journal(new Journal());
  std::string fresh = line_of({{"boot", boot}, {"part_bytes", part_bytes}});
  for (const Object& object : objects) {
    fresh += line_of({{"name", object.name}, {"size", object.size}, {"tag", object.tag}});
    const auto before = found.objects.find(object.name);
    const bool same = before != found.objects.end() && before->second == object;
    if (!same || !has_size(directory + "/" + object.name, object.size)) continue;
    if (found.whole.contains(object.name)) {
      journal->whole_.insert(object.name);
      fresh += whole_line(object.name);
      continue;
    }
    if (found.parts[object.name].empty()) continue;
    for (const std::uint64_t part : found.parts[object.name]) fresh += part_line(object.name, part);
    journal->parts_[object.name] = std::move(found.parts[object.name]);
  }
  const std::filesystem::path place(path);
  const Status written =
      shim::replace_file(place.parent_path().string(), place.filename().string(), fresh, shim::Sync::no);
  if (!written.ok()) return written.error();
  journal->file_ = Fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!journal->file_.open()) return io_error("cannot open " + path, errno);
  return journal;
}

bool Journal::has(const std::string& name, std::uint64_t part) const {
  const auto found = parts_.find(name);
  return is_whole(name) || (found != parts_.end() && found->second.contains(part));
}

Status Journal::add_part(const std::string& name, std::uint64_t part) { return append(part_line(name, part)); }
Status Journal::add_whole(const std::string& name) { return append(whole_line(name)); }

Status Journal::append(const std::string& line) {
  const std::lock_guard lock(mutex_);
  return shim::write_all(file_.get(), line);
}

}  // namespace ebb::pull
