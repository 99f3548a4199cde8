// Where snapshots come from: an identity is a directory of the store.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "daemon/model/result.hpp"
#include "daemon/pull/work.hpp"

namespace ebb::pull {

/// One file of a snapshot.
struct Object {
  std::string name;  ///< relative to the snapshot's directory; checked: no "..", nothing hidden
  std::uint64_t size = 0;
  std::string tag;  ///< another one when the content is another one: an ETag, or the file's number and time
  friend bool operator==(const Object&, const Object&) = default;
};

/// Reads parts of objects, one at a time. Each thread has its own.
class Reader {
 public:
  virtual ~Reader() = default;
  /// Writes the bytes from `offset` to the same place of the open file `to`. `conflict`: the object is not the one that
  /// was listed any more. Errors that may pass are retryable; then some of the bytes may have been written.
  virtual Status read(const std::string& identity, const Object& object, std::uint64_t offset, std::uint64_t length,
                      int to, const Stop& stop) = 0;
};

/// Thread-safe.
class Store {
 public:
  virtual ~Store() = default;
  /// Every file of a snapshot, by name. `not_found`: there is none. `malformed`: a file with an impossible name.
  virtual Result<std::vector<Object>> list(const std::string& identity, const Stop& stop) = 0;
  virtual std::unique_ptr<Reader> reader() = 0;
  [[nodiscard]] virtual std::string place(const std::string& identity) const = 0;  ///< for people
};

struct StoreOptions {
  std::string url;       ///< s3://bucket/prefix, or an absolute path
  std::string endpoint;  ///< http(s)://host[:port]; empty: AWS in `region`
  std::string region = "us-east-1";
  bool path_style = false;  ///< the bucket is in the path instead of the host's name: MinIO, Ceph
  SecretRef access_key_id, secret_access_key, session_token;  ///< none: requests are not signed
  std::string ca_file;
  Duration stall_timeout{30'000};  ///< slower than 10 KiB/s for so long is an error, and tried again
};

/// `invalid` says which option is wrong.
Result<std::unique_ptr<Store>> open_store(const StoreOptions& options);
Result<std::unique_ptr<Store>> open_s3_store(const StoreOptions& options);
std::unique_ptr<Store> open_directory_store(const std::string& path);

}  // namespace ebb::pull
