// Whether a downloaded full snapshot is whole.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/model/result.hpp"
#include "daemon/pull/shelf.hpp"

namespace ebb::pull {

struct FullSnapshot {
  std::optional<std::string> version;
};

/// The heads of all shards describe their files, the index lists every tensor and every tensor it lists is there;
/// config.json, or a LoRA adapter's adapter_config.json, is JSON. Weights in one file need no index. `malformed` says
/// what is wrong.
Result<FullSnapshot> check_full(const std::string& directory, const std::vector<FileSize>& files);

}  // namespace ebb::pull
