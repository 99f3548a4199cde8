#include "tests/emulators/engine/delta_pull.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "tests/emulators/engine/snapshot_files.hpp"

namespace ebb::emulator {

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t kDiffMax = 1u << 30;

Error refused(std::string what) { return Error{ErrorCode::invalid, std::move(what), false}; }

std::string directory_of(const std::string& source, int version) {
  return fmt::format("{}/weight_v{:06}", source, version);
}

/// One published version, as its index tells of it.
struct Version {
  int number = 0;
  int base = -1;  ///< -1: it is whole
  std::string encoding, checksum;
  std::vector<std::string> files;
};

int number_in(const json& metadata, const char* key) {
  const auto at = metadata.find(key);
  if (at == metadata.end() || !at->is_string()) return -1;
  const auto text = at->get<std::string>();
  const bool digits = text.size() == 6 && text.find_first_not_of("0123456789") == std::string::npos;
  return digits ? std::stoi(text) : -1;
}

Result<Version> version_of(const std::string& source, int number) {
  const std::string directory = directory_of(source, number);
  const auto text = read_text_file(directory + "/model.safetensors.index.json");
  if (!text) return refused("version " + std::to_string(number) + " is not in " + source);
  const json index = json::parse(*text, nullptr, false);
  if (!index.is_object()) return refused(directory + ": its index cannot be read");
  Version out;
  out.number = number;
  const json metadata = index.value("metadata", json::object());
  if (!metadata.contains("delta_encoding")) return out;
  out.base = number_in(metadata, "base_version");
  if (number_in(metadata, "version") != number || out.base < 0) {
    return refused(directory + ": version and base_version must be six digits, and the directory's");
  }
  out.encoding = metadata.value("delta_encoding", "");
  out.checksum = metadata.value("checksum_format", "");
  if (metadata.value("compression_format", "") != "zstd") return refused(directory + ": compressed by something else");
  const json map = index.value("weight_map", json::object());
  std::set<std::string> files;
  for (const auto& [tensor, file] : map.items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (!name.empty() && name.find('/') == std::string::npos) files.insert(name);
  }
  for (const std::string& file : files) out.files.push_back(directory + "/" + file);
  return out;
}

Result<std::string> checksum_of(const std::string& format, const std::string& bytes) {
  if (format == "adler32") {
    const auto sum =
        ::adler32_z(::adler32_z(0, nullptr, 0), reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    return fmt::format("{:08x}", sum);
  }
  if (format == "xxh3-128") {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  }
  return refused("checksums of the format '" + format + "' are unknown here");
}

Result<std::string> unpacked(const std::string& packed) {
  const std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> stream(ZSTD_createDStream(), ZSTD_freeDStream);
  std::string out;
  std::string piece(ZSTD_DStreamOutSize(), '\0');
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  std::size_t left = 1;
  while (in.pos < in.size) {
    ZSTD_outBuffer to{piece.data(), piece.size(), 0};
    left = ZSTD_decompressStream(stream.get(), &to, &in);
    if (ZSTD_isError(left) != 0 || out.size() > kDiffMax) return refused("a diff cannot be decompressed");
    out.append(piece, 0, to.pos);
  }
  if (left != 0) return refused("a diff is truncated");
  return out;
}

std::uint32_t word_at(const std::string& bytes, std::size_t at) {
  std::uint32_t out = 0;
  for (std::size_t i = 4; i-- > 0;) out = out << 8 | static_cast<unsigned char>(bytes[at + i]);
  return out;
}

Result<std::string> changed(const std::string& encoding, std::string old, const std::string& diff) {
  if (encoding == "xor") {
    if (diff.size() != old.size()) return refused("a diff has another length than its tensor");
    for (std::size_t i = 0; i < old.size(); ++i) old[i] = static_cast<char>(old[i] ^ diff[i]);
    return old;
  }
  if (encoding != "overwrite") return refused("the encoding '" + encoding + "' is unknown");
  if (diff.size() < 4) return refused("a diff is truncated");
  const std::size_t count = word_at(diff, 0);
  if (diff.size() != 4 + 5 * count) return refused("a diff has another length than its count says");
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t place = word_at(diff, 4 + 4 * i);
    if (place >= old.size()) return refused("a diff writes behind its tensor");
    old[place] = diff[4 + 4 * count + i];
  }
  return old;
}

Status write_durably(const std::string& path, const std::string& bytes) {
  const std::string temporary = path + ".tmp";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return Error{ErrorCode::exhausted, temporary + " cannot be written", true};
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto n = ::write(file, bytes.data() + done, bytes.size() - done);
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  const bool sound = done == bytes.size() && ::fsync(file) == 0;
  ::close(file);
  if (!sound || ::rename(temporary.c_str(), path.c_str()) != 0) {
    return Error{ErrorCode::exhausted, path + " cannot be written", true};
  }
  return Done();
}

Status mark(const std::string& local, int version) {
  return write_durably(local + "/.weight_sync/state.json", json{{"version", fmt::format("{:06}", version)}}.dump());
}

/// New contents by tensor. Already having one is no error: a run before this one may have ended in the middle.
Result<std::map<std::string, std::string>> new_tensors(const Version& version,
                                                       const std::map<std::string, TensorPlace>& local) {
  std::map<std::string, std::string> out;
  for (const std::string& path : version.files) {
    const auto file = read_tensor_file(path);
    if (!file) return file.error();
    for (const auto& [name, place] : file->tensors) {
      const auto at = local.find(name);
      const auto wanted = file->metadata.find(name);
      if (at == local.end()) return refused(path + ": '" + name + "' is no tensor of the checkpoint");
      if (wanted == file->metadata.end()) return refused(path + ": no checksum of '" + name + "'");
      auto old = read_tensor(at->second);
      const auto packed = read_tensor(place);
      if (!old || !packed) return refused(path + ": cannot be read");
      const auto before = checksum_of(version.checksum, *old);
      if (!before) return before.error();
      if (*before == wanted->second) continue;
      const auto diff = unpacked(*packed);
      if (!diff) return diff.error();
      auto bytes = changed(version.encoding, std::move(*old), *diff);
      if (!bytes) return bytes.error();
      if (*checksum_of(version.checksum, *bytes) != wanted->second) {
        return refused(path + ": the checksum of '" + name + "' does not fit; is the base another one?");
      }
      out[name] = std::move(*bytes);
    }
  }
  return out;
}

Status apply_increment(const std::string& local, const Version& version) {
  if (pulled_version(local) != version.base) {
    return refused(fmt::format("out-of-order delta: {} is for {}", version.number, version.base));
  }
  const auto tensors = tensors_of(local);
  if (!tensors) return tensors.error();
  const auto news = new_tensors(version, *tensors);
  if (!news) return news.error();
  std::map<std::string, std::string> files;
  for (const auto& [name, bytes] : *news) {
    const TensorPlace& place = tensors->at(name);
    if (!files.contains(place.file)) {
      auto text = read_text_file(place.file);
      if (!text) return text.error();
      files[place.file] = std::move(*text);
    }
    files.at(place.file).replace(place.offset, place.size, bytes);
  }
  for (const auto& [path, bytes] : files) {
    const Status written = write_durably(path, bytes);
    if (!written) return written;
  }
  return mark(local, version.number);
}

/// Replaces whatever is there by a whole version.
Status seed(const std::string& local, const std::string& source, int version) {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(local, ec)) {
    if (entry.path().filename() != ".weight_sync") fs::remove_all(entry.path(), ec);
  }
  fs::remove(local + "/.weight_sync/state.json", ec);
  for (const auto& entry : fs::directory_iterator(directory_of(source, version), ec)) {
    const std::string to = local + "/" + entry.path().filename().string();
    fs::copy_file(entry.path(), to, ec);
    if (ec || fs::file_size(to, ec) != entry.file_size()) {
      return Error{ErrorCode::exhausted, to + " cannot be copied", true};
    }
  }
  if (ec) return Error{ErrorCode::exhausted, local + ": " + ec.message(), true};
  return mark(local, version);
}

}  // namespace

int pulled_version(const std::string& local) {
  const auto text = read_text_file(local + "/.weight_sync/state.json");
  if (!text) return -1;
  const json state = json::parse(*text, nullptr, false);
  return state.is_object() ? number_in(state, "version") : -1;
}

Status pull_weights(const std::string& local, const std::string& source, int target) {
  std::error_code ec;
  fs::create_directories(local + "/.weight_sync", ec);
  const int lock = ::open((local + "/.weight_sync/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return Error{ErrorCode::exhausted, local + " cannot be written", true};
  const std::unique_ptr<const int, void (*)(const int*)> held(&lock, [](const int* file) { ::close(*file); });
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) return Error{ErrorCode::conflict, local + " is being pulled", true};
  const int applied = pulled_version(local);
  std::vector<Version> way;
  for (int number = target; number != applied;) {
    auto version = version_of(source, number);
    if (!version) return version.error();
    const bool whole = version->base < 0;
    number = version->base;
    way.push_back(std::move(*version));
    if (whole) break;
    if (number >= way.back().number) return refused("a version is built on a later one");
  }
  for (auto at = way.rbegin(); at != way.rend(); ++at) {
    const Status done = at->base < 0 ? seed(local, source, at->number) : apply_increment(local, *at);
    if (!done) return done;
  }
  const auto sound = tensors_of(local);
  if (!sound) return sound.error();
  return Done();
}

}  // namespace ebb::emulator
