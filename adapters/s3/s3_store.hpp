// Snapshots in a bucket of any S3-compatible store.
#pragma once

#include <memory>
#include <string>

#include "adapters/s3/protocol.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/http_client.hpp"
#include "daemon/ports/snapshot_store.hpp"

namespace ebb {

/// Requests are signed with AWS Signature Version 4 where a key is configured; keys are read for every request, so that
/// rotated ones need no reload. What is answered 408, 429, 5xx, SlowDown or not at all is asked again with a growing
/// pause until the deadline. `clock` and `http` must outlive the io_context.
class S3Store final : public SnapshotStore {
 public:
  /// `store`: s3://bucket or s3://bucket/prefix.
  S3Store(const std::string& store, S3Config config, HttpClient& http, Clock& clock);

  [[nodiscard]] bool whole_files() const override { return true; }
  awaitable<Result<std::vector<Identity>>> identities(TimePoint deadline) override;
  awaitable<Result<std::vector<StoredFile>>> list(Identity identity, TimePoint deadline) override;
  awaitable<Result<std::string>> read(Identity identity, std::string file, std::int64_t offset, std::int64_t bytes,
                                      TimePoint deadline) override;
  awaitable<Status> remove(Identity identity, TimePoint deadline) override;

 private:
  struct Call;
  awaitable<Result<HttpResponse>> ask(Call call, TimePoint deadline);
  awaitable<Result<HttpResponse>> ask_once(const Call& call, TimePoint deadline);
  awaitable<Result<S3Listing>> page(std::string prefix, std::string delimiter, std::string continuation,
                                    TimePoint deadline);
  [[nodiscard]] std::string shown(std::string_view key) const;

  const S3Place place_;
  const S3Config config_;
  HttpClient& http_;
  Clock& clock_;
};

}  // namespace ebb
