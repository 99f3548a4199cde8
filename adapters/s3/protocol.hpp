// S3's requests and answers as values. Pure. Wire: Amazon S3 API reference (ListObjectsV2, GetObject, DeleteObject,
// error responses), as MinIO, Ceph, Nebius and GCS's interoperability mode speak it too.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "daemon/model/result.hpp"
#include "daemon/ports/http_client.hpp"
#include "daemon/ports/snapshot_store.hpp"

namespace ebb {

/// The bucket and what stands before each identity in its keys.
struct S3Place {
  std::string bucket;
  std::string prefix;  ///< empty, or with a slash at its end
};

/// Of "s3://bucket/prefix".
S3Place s3_place(std::string_view store);

/// Everything but A-Z a-z 0-9 - . _ ~ as %XX, which is what SigV4 asks for; slashes stay where `keep_slashes`.
std::string percent_encoded(std::string_view text, bool keep_slashes);

/// Where a key is asked for; an empty one is the bucket. Parameters stand in the order of their names and each has a
/// '=': libcurl signs the query as it is written, and S3 signs it in that order.
std::string s3_url(const S3Config& config, const S3Place& place, std::string_view key,
                   const std::map<std::string, std::string>& parameters);

/// A page of ListObjectsV2.
struct S3Listing {
  std::vector<StoredFile> objects;    ///< whole keys
  std::vector<std::string> prefixes;  ///< with a delimiter: the directories
  std::string continuation;           ///< empty: the last page
};
Result<S3Listing> read_listing(std::string_view body);

/// What an answer other than 2xx means, with what to mend. `what` is what was asked, for people: "list s3://b/p".
Error s3_error(const S3Config& config, const S3Place& place, const std::string& what, const HttpResponse& answer);

}  // namespace ebb
