// SGLang: /pause_generation, /update_weights_from_disk, /flush_cache, and /pull_weights of slime's and Miles' patch.
//
// Source: python/sglang/srt/entrypoints/http_server.py and managers/io_struct.py, the page "SGLang for RL" of its
// documentation, slime's docker/patch/latest/sglang-pull_weights.patch. Only fields that all releases have are sent.
//
//   reset   pause      before the update                                       the update
//   all     retract    /flush_cache, again while it answers 400: running        flush_cache=true
//                      generations gave their KV back, and compute it anew
//   none    in_place   nothing: they keep it, and no flush would be possible    flush_cache=false
//
// There is no pause that waits for what runs, so `sync` is refused when the configuration is read. Every call says
// abort_all_requests: false, whatever its default is: that of /update_weight_version is true.
// A flush that fails inside an update has killed engines; it is tried before, while nothing is lost yet.
#pragma once

#include <memory>
#include <string>

#include "adapters/engines/dialect.hpp"

namespace ebb {

struct SglangOptions {
  std::string store;           ///< weights_from: engine: where /pull_weights reads
  std::string checkpoint_dir;  ///< and where it writes
  std::string adapter;         ///< the LoRA's name; empty: whole models
};

std::unique_ptr<const EngineDialect> sglang_dialect(SglangOptions options, EngineHttp http);

}  // namespace ebb
