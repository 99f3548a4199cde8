// The answer to ListObjectsV2, and S3's errors: the little XML that S3 speaks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb::pull {

struct ListedKey {
  std::string key;
  std::uint64_t size = 0;
  std::string etag;  ///< without quotes
};

struct ListPage {
  std::vector<ListedKey> keys;
  std::string next;  ///< continuation token; empty: that was the last page
};

/// `malformed`: it is no ListBucketResult.
Result<ListPage> list_page_from(std::string_view xml);

/// An ETag as stores write it, without its quotes and its mark of weakness, which some leave out and some put in.
std::string bare_etag(std::string_view text);

/// "AccessDenied: the message" out of an error's body; empty where it is none.
std::string s3_error_text(std::string_view xml);

}  // namespace ebb::pull
