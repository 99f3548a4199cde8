#include "daemon/pull/build.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "daemon/pull/build_plan.hpp"
#include "daemon/pull/delta.hpp"
#include "daemon/pull/transfer.hpp"

namespace ebb::pull {
namespace {

constexpr std::size_t kChunk = 256u << 10;      ///< stays in a core's cache from the base to the file
constexpr std::uint64_t kWriteBack = 8u << 20;  ///< the disk starts on it while we go on

/// A link where the file system has them, else a copy.
Status link_or_copy(const std::string& from, const std::string& to_directory, const std::string& name) {
  const std::string to = to_directory + "/" + name;
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(to).parent_path(), error);
  if (error) return io_error("cannot make the directory of " + to, error.value());
  if (::link(from.c_str(), to.c_str()) == 0) return Done{};
  if (errno != EXDEV && errno != EPERM && errno != EMLINK && errno != EOPNOTSUPP)
    return io_error("cannot link " + to, errno);
  const Result<Fd> source = open_to_read(from);
  if (!source.ok()) return source.error();
  const Result<struct stat> now = stat_of(source->get(), from);
  if (!now.ok()) return now.error();
  const auto bytes = static_cast<std::uint64_t>(now->st_size);
  const Result<Fd> target = open_to_write(to_directory, name, bytes);
  if (!target.ok()) return target.error();
  if (Status copied = copy_range(source->get(), 0, target->get(), 0, bytes, name); !copied.ok()) return copied;
  return sync_file(target->get(), to);
}

/// The payload of a patch, read from its file piece by piece.
Payload payload_of(const Patch& patch) {
  struct Reading {
    Fd fd;
    std::uint64_t at, left;
  };
  auto reading = std::make_shared<Reading>(Reading{Fd(), patch.at, patch.bytes});
  return [reading, path = patch.path](std::span<std::byte> room) -> Result<std::size_t> {
    if (reading->left == 0) return std::size_t{0};
    if (!reading->fd.open()) {
      Result<Fd> fd = open_to_read(path);
      if (!fd.ok()) return fd.error();
      reading->fd = std::move(*fd);
    }
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), reading->left));
    const Status read = read_exactly(reading->fd.get(), reading->at, room.first(count), path);
    if (!read.ok()) return read.error();
    reading->at += count;
    reading->left -= count;
    return count;
  };
}

class Builder {
 public:
  Builder(const Build& job, const BuildPlan& plan, Progress& progress, const Stop& stop)
      : job_(job), plan_(plan), progress_(progress), halt_(&stop), missing_(plan.shards.size()) {
    for (const Piece& piece : plan.pieces) ++missing_[piece.shard];
  }

  Status run() {
    for (const Shard& shard : plan_.shards) {
      const Result<Fd> made = open_to_write(job_.target_directory, shard.name, shard.bytes);
      if (!made.ok()) return made.error();
    }
    return in_parallel(job_.threads, plan_.pieces.size(), halt_, [this]() -> Task {
      auto buffer = std::make_shared<std::vector<std::byte>>(kChunk);
      return [this, buffer](std::size_t number) { return make(plan_.pieces[number], *buffer); };
    });
  }

 private:
  Status make(const Piece& piece, std::vector<std::byte>& buffer) {
    const Shard& shard = plan_.shards[piece.shard];
    const Result<Fd> from = open_to_read(job_.base_directory + "/" + shard.name);
    if (!from.ok()) return from.error();
    const Result<Fd> to = open_to_write(job_.target_directory, shard.name, shard.bytes);
    if (!to.ok()) return to.error();
    const Status done =
        piece.patches.empty() ? copy(piece, from->get(), to->get()) : patch(piece, from->get(), to->get(), buffer);
    if (!done.ok()) return done;
    if (missing_[piece.shard].fetch_sub(1) != 1) return Done{};
    return sync_file(to->get(), shard.name);
  }

  Status copy(const Piece& piece, int from, int to) {
    for (std::uint64_t done = 0; done < piece.bytes; done += kWriteBack) {
      if (halt_.requested()) return stopped();
      const std::uint64_t count = std::min(kWriteBack, piece.bytes - done);
      const Status copied =
          copy_range(from, piece.at + done, to, piece.at + done, count, plan_.shards[piece.shard].name);
      if (!copied.ok()) return copied;
      progress_.done += count;
    }
    return Done{};
  }

  Status patch(const Piece& piece, int from, int to, std::vector<std::byte>& buffer) {
    std::vector<std::unique_ptr<TensorDelta>> deltas;
    for (const Patch& one : piece.patches)
      deltas.push_back(std::make_unique<TensorDelta>(one.format, payload_of(one), piece.bytes, one.sum));
    const std::string& shard = plan_.shards[piece.shard].name;
    std::uint64_t unsynced = 0;
    for (std::uint64_t done = 0; done < piece.bytes;) {
      if (halt_.requested()) return stopped();
      const std::span<std::byte> chunk(buffer.data(),
                                       static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, piece.bytes - done)));
      if (Status read = read_exactly(from, piece.at + done, chunk, shard); !read.ok()) return read;
      for (std::size_t i = 0; i < deltas.size(); ++i) {
        if (const Status applied = deltas[i]->apply(chunk); !applied.ok()) return about(piece, i, applied.error());
      }
      if (Status written = write_exactly(to, piece.at + done, chunk, shard); !written.ok()) return written;
      done += chunk.size();
      unsynced += chunk.size();
      progress_.done += chunk.size();
      if (unsynced < kWriteBack && done < piece.bytes) continue;
      // Only a hint; the sync at the end is what counts.
      (void)::sync_file_range(to, static_cast<off_t>(piece.at + done - unsynced), static_cast<off_t>(unsynced),
                              SYNC_FILE_RANGE_WRITE);
      unsynced = 0;
    }
    for (std::size_t i = 0; i < deltas.size(); ++i) {
      if (const Status ended = deltas[i]->finish(); !ended.ok()) return about(piece, i, ended.error());
    }
    return Done{};
  }

  static Error about(const Piece& piece, std::size_t patch, const Error& error) {
    return Error{error.code,
                 piece.patches[patch].identity + ": tensor '" + shim::printable(piece.name) + "': " + error.what,
                 error.retryable};
  }

  const Build& job_;
  const BuildPlan& plan_;
  Progress& progress_;
  Stop halt_;
  std::vector<std::atomic<std::size_t>> missing_;  ///< pieces of each shard; the last one syncs it
};

/// The base's index, under the new version.
Status write_index(const Build& job, const std::optional<std::string>& version) {
  const auto text = shim::read_file(job.base_directory + "/" + kIndexName, kIndexMax);
  if (!text) return io_error("cannot read " + job.base_directory + "/" + kIndexName, errno);
  Result<std::string> fresh = version ? index_with_version(*text, *version) : Result<std::string>(*text);
  if (!fresh.ok()) return fresh.error();
  Status written = shim::replace_file(job.target_directory, kIndexName, *fresh, shim::Sync::yes);
  return written;
}

}  // namespace

Result<Built> build(const Build& job, Progress& progress, const Stop& stop) {
  const Result<BuildPlan> plan = plan_build(job);
  if (!plan.ok()) return plan.error();
  progress.total += plan->bytes();
  if (const Status room = check_room(job.target_directory, plan->bytes()); !room.ok()) return room.error();
  for (const std::string& name : plan->links) {
    const Status linked = link_or_copy(job.base_directory + "/" + name, job.target_directory, name);
    if (!linked.ok()) return linked.error();
  }
  if (const Status made = Builder(job, *plan, progress, stop).run(); !made.ok()) return made.error();
  Built built;
  built.version = plan->version;
  built.tensors_changed = plan->tensors_changed;
  built.bytes_written = plan->bytes();
  for (const FileSize& file : job.base.files) {
    FileSize now = file;
    if (file.name == kIndexName) {
      if (const Status written = write_index(job, plan->version); !written.ok()) return written.error();
      std::error_code error;
      now.bytes = std::filesystem::file_size(job.target_directory + "/" + kIndexName, error);
      if (error) return io_error("cannot look at the index", error.value());
    }
    built.files.push_back(std::move(now));
  }
  return built;
}

}  // namespace ebb::pull
