#include "daemon/pull/transfer.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>

#include "daemon/pull/files.hpp"
#include "daemon/pull/journal.hpp"

namespace ebb::pull {
namespace {

constexpr std::uint64_t kSpareBytes = 64u << 20;  ///< journals, markers, and other people's logs

/// A part that is still to come. An empty file is one empty part.
struct Part {
  const Object* object = nullptr;
  std::size_t file = 0;
  std::uint64_t number = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

/// One file being written; its last part syncs it.
struct Target {
  Fd fd;
  std::atomic<std::size_t> missing = 0;
};

class Download {
 public:
  Download(Store& store, const Wanted& wanted, const TransferOptions& options, Progress& progress, Journal& journal,
           const Stop& stop)
      : store_(store),
        wanted_(wanted),
        options_(options),
        progress_(progress),
        journal_(journal),
        halt_(&stop),
        targets_(wanted.objects.size()) {}

  /// What is missing, and the files it goes to.
  Status prepare() {
    std::uint64_t missing = 0;
    for (std::size_t file = 0; file < wanted_.objects.size(); ++file) {
      const Object& object = wanted_.objects[file];
      if (journal_.is_whole(object.name)) {
        progress_.done += object.size;
        continue;
      }
      add_parts(object, file, missing);
    }
    if (Status room = check_room(wanted_.directory, missing); !room.ok()) return room;
    for (std::size_t file = 0; file < targets_.size(); ++file) {
      const Object& object = wanted_.objects[file];
      if (journal_.is_whole(object.name)) continue;
      // What is there of it is another object's, and may be read only already.
      if (!journal_.has_any(object.name)) ::unlink((wanted_.directory + "/" + object.name).c_str());
      Result<Fd> fd = open_to_write(wanted_.directory, object.name, object.size);
      if (!fd.ok()) return fd.error();
      targets_[file].fd = std::move(*fd);
      if (targets_[file].missing != 0) continue;
      if (Status whole = close_file(file); !whole.ok()) return whole;
    }
    return Done{};
  }

  Status run() {
    return in_parallel(options_.parallel, parts_.size(), halt_, [this]() -> Task {
      std::shared_ptr<Reader> reader = store_.reader();
      return [this, reader](std::size_t number) { return fetch(*reader, parts_[number]); };
    });
  }

 private:
  void add_parts(const Object& object, std::size_t file, std::uint64_t& missing) {
    std::uint64_t offset = 0;
    std::uint64_t number = 0;
    do {
      const std::uint64_t length = std::min(options_.part_bytes, object.size - offset);
      if (journal_.has(object.name, number)) {
        progress_.done += length;
      } else {
        parts_.push_back({&object, file, number, offset, length});
        ++targets_[file].missing;
        missing += length;
      }
      offset += length;
      ++number;
    } while (offset < object.size);
  }

  Status fetch(Reader& reader, const Part& part) {
    Target& target = targets_[part.file];
    if (part.length > 0) {
      const Status read = with_retries(options_, halt_, [&] {
        return reader.read(wanted_.identity, *part.object, part.offset, part.length, target.fd.get(), halt_);
      });
      if (!read.ok()) return read;
    }
    if (Status noted = journal_.add_part(part.object->name, part.number); !noted.ok()) return noted;
    progress_.done += part.length;
    if (target.missing.fetch_sub(1) != 1) return Done{};
    return close_file(part.file);
  }

  Status close_file(std::size_t file) {
    const std::string& name = wanted_.objects[file].name;
    if (Status synced = sync_file(targets_[file].fd.get(), name); !synced.ok()) return synced;
    targets_[file].fd.reset();
    return journal_.add_whole(name);
  }

  Store& store_;
  const Wanted& wanted_;
  const TransferOptions& options_;
  Progress& progress_;
  Journal& journal_;
  Stop halt_;
  std::vector<Part> parts_;
  std::vector<Target> targets_;
};

/// Files of an earlier listing that the snapshot does not have any more.
Status remove_strangers(const Wanted& wanted) {
  namespace fs = std::filesystem;
  std::set<std::string> names;
  for (const Object& object : wanted.objects) names.insert(object.name);
  std::vector<fs::path> strangers;
  std::error_code error;
  fs::recursive_directory_iterator entry(wanted.directory, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().lexically_relative(wanted.directory).generic_string();
    if (!entry->is_directory() && !names.contains(name)) strangers.push_back(entry->path());
  }
  for (const fs::path& stranger : strangers) {
    if (!error) fs::remove(stranger, error);
  }
  if (error) return io_error("cannot clean " + wanted.directory, error.value());
  return Done{};
}

}  // namespace

Status with_retries(const TransferOptions& options, const Stop& stop, const std::function<Status()>& attempt) {
  Duration pause = options.pause_first;
  for (int left = options.tries;; --left) {
    Status done = attempt();
    // Another object under the same name is no fault of the line: the whole download starts anew, by whoever asks.
    const bool again = !done.ok() && done.error().retryable && done.error().code != ErrorCode::conflict &&
                       done.error().code != ErrorCode::exhausted && done.error().code != ErrorCode::not_found;
    if (!again || left <= 1) return done;
    if (stop.requested()) return stopped();
    stop.wait(pause);
    pause = std::min(pause * 2, options.pause_max);
  }
}

Status download(Store& store, const Wanted& wanted, const TransferOptions& options, Progress& progress,
                const Stop& stop) {
  std::error_code error;
  std::filesystem::create_directories(wanted.directory, error);
  if (error) return io_error("cannot make " + wanted.directory, error.value());
  if (Status clean = remove_strangers(wanted); !clean.ok()) return clean;
  const Result<std::unique_ptr<Journal>> journal =
      Journal::open(wanted.journal, wanted.directory, wanted.objects, options.part_bytes);
  if (!journal.ok()) return journal.error();
  Download download(store, wanted, options, progress, **journal, stop);
  if (Status ready = download.prepare(); !ready.ok()) return ready;
  return download.run();
}

Status check_room(const std::string& path, std::uint64_t bytes) {
  const Result<std::uint64_t> free = free_bytes(path);
  if (!free.ok()) return free.error();
  if (*free >= bytes + std::min(kSpareBytes, bytes)) return Done{};
  return Error{ErrorCode::exhausted,
               "the disk of " + path + " has " + std::to_string(*free >> 20) + " MiB left, " +
                   std::to_string((bytes >> 20) + 1) + " MiB more are needed",
               true};
}

}  // namespace ebb::pull
