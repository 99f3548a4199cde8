// A store that is a directory, shared over the network or not.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "daemon/pull/files.hpp"
#include "daemon/pull/store.hpp"

namespace ebb::pull {
namespace {

namespace fs = std::filesystem;

std::string tag_of(const struct stat& now) {
  return std::to_string(now.st_ino) + "-" + std::to_string(now.st_mtim.tv_sec) + "." +
         std::to_string(now.st_mtim.tv_nsec);
}

class DirectoryReader final : public Reader {
 public:
  explicit DirectoryReader(std::string root) : root_(std::move(root)) {}

  Status read(const std::string& identity, const Object& object, std::uint64_t offset, std::uint64_t length, int to,
              const Stop& stop) override {
    constexpr std::uint64_t kPiece = 8u << 20;  // between two looks at `stop`
    const std::string path = root_ + "/" + identity + "/" + object.name;
    const Result<Fd> from = open_to_read(path);
    if (!from.ok()) return from.error();
    for (std::uint64_t done = 0; done < length; done += kPiece) {
      if (stop.requested()) return stopped();
      const std::uint64_t piece = std::min(kPiece, length - done);
      const Status copied = copy_range(from->get(), offset + done, to, offset + done, piece, path);
      if (!copied.ok()) return copied;
    }
    const Result<struct stat> now = stat_of(from->get(), path);
    if (!now.ok()) return now.error();
    if (tag_of(*now) == object.tag && static_cast<std::uint64_t>(now->st_size) == object.size) return Done{};
    return Error{ErrorCode::conflict, path + " has changed while it was read", true};
  }

 private:
  std::string root_;
};

class DirectoryStore final : public Store {
 public:
  explicit DirectoryStore(std::string root) : root_(std::move(root)) {}

  Result<std::vector<Object>> list(const std::string& identity, const Stop&) override {
    const std::string top = place(identity);
    std::vector<Object> objects;
    std::error_code error;
    fs::recursive_directory_iterator entry(top, error);
    for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
      const std::string name = entry->path().lexically_relative(top).generic_string();
      struct stat now {};
      if (::stat(entry->path().c_str(), &now) != 0) return io_error("cannot look at " + entry->path().string(), errno);
      if (is_hidden(name) || !S_ISREG(now.st_mode)) continue;
      if (const std::string fault = name_fault(name); !fault.empty())
        return Error{ErrorCode::malformed, "the file '" + shim::printable(name) + "' in " + top + " " + fault, false};
      objects.push_back({name, static_cast<std::uint64_t>(now.st_size), tag_of(now)});
    }
    // Not there may be not there yet.
    if (error == std::errc::no_such_file_or_directory)
      return Error{ErrorCode::not_found, "there is nothing in " + top, true};
    if (error) return io_error("cannot list " + top, error.value());
    if (objects.empty()) return Error{ErrorCode::not_found, "there is nothing in " + top, true};
    std::sort(objects.begin(), objects.end(), [](const Object& a, const Object& b) { return a.name < b.name; });
    return objects;
  }

  std::unique_ptr<Reader> reader() override { return std::make_unique<DirectoryReader>(root_); }
  [[nodiscard]] std::string place(const std::string& identity) const override { return root_ + "/" + identity; }

 private:
  std::string root_;
};

}  // namespace

std::unique_ptr<Store> open_directory_store(const std::string& path) { return std::make_unique<DirectoryStore>(path); }

Result<std::unique_ptr<Store>> open_store(const StoreOptions& options) {
  if (options.url.starts_with("s3://")) return open_s3_store(options);
  if (options.url.starts_with('/')) return open_directory_store(options.url);
  return Error{ErrorCode::invalid, "--store takes s3://BUCKET/PREFIX or an absolute path, not '" + options.url + "'",
               false};
}

}  // namespace ebb::pull
