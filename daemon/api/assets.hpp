// The status page's files, embedded at build time (daemon/api/dashboard/, and Debian's dygraphs).
#pragma once

#include <span>
#include <string_view>

namespace ebb {

struct Asset {
  std::string_view path;  ///< "/app.js"; the page itself is "/"
  std::string_view content_type;
  std::string_view etag;  ///< with its quotes
  std::string_view body;
};

std::span<const Asset> assets();

}  // namespace ebb
