// Reading and writing at places of a file, and what may be a file's name. Blocking; any thread.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "daemon/model/result.hpp"
#include "daemon/shim/files.hpp"

namespace ebb::pull {

using shim::Fd;

/// "<what>: No space left on device". A full disk is `exhausted`, and worth asking again.
Error io_error(const std::string& what, int error);

Result<Fd> open_to_read(const std::string& path);
/// Made if it is not there, with the directories above it that `below` does not have yet; `size` bytes long afterwards.
Result<Fd> open_to_write(const std::string& below, const std::string& name, std::uint64_t size);
Result<struct stat> stat_of(int fd, const std::string& what);

/// All of `out`, or `malformed` where the file ends before.
Status read_exactly(int fd, std::uint64_t at, std::span<std::byte> out, const std::string& what);
Status write_exactly(int fd, std::uint64_t at, std::span<const std::byte> bytes, const std::string& what);
/// Inside the kernel where it can, which shares blocks on file systems that share blocks.
Status copy_range(int from, std::uint64_t from_at, int to, std::uint64_t to_at, std::uint64_t length,
                  const std::string& what);
Status sync_file(int fd, const std::string& what);
Status sync_directory(const std::string& path);
/// What an ordinary user may still write to the file system of `path`.
Result<std::uint64_t> free_bytes(const std::string& path);

/// Empty, or why the text is no relative path of a snapshot's file: "..", a hidden part, a control character, ...
std::string name_fault(std::string_view name);
/// A part of the path begins with a dot: no file of a snapshot.
bool is_hidden(std::string_view name);
bool ends_with(std::string_view text, std::string_view end);

}  // namespace ebb::pull
