// vLLM: /pause with its modes, the weight transfer with a directory as its source, run-time LoRA.
//
// Source: vllm/entrypoints/serve/rlhf/api_router.py and the pages "async RL" and "weight transfer" of its
// documentation. All of it but LoRA exists only in engines started with VLLM_SERVER_DEV_MODE=1.
//
//   transition  reset   pause                          after the update
//   async       all     mode=keep, clear_cache=false   /reset_prefix_cache?reset_running_requests=true: without it the
//                                                      reset does nothing, silently, while held requests have blocks;
//                                                      with it they compute their KV anew, under the new weights
//   async       none    mode=keep, clear_cache=false   nothing
//   sync        all     mode=wait, clear_cache=true    nothing: it is empty, and nobody comes in
//   sync        none    mode=wait, clear_cache=false   nothing
//
// A LoRA adapter that is there already is loaded with load_inplace, because a request of its name between an unload and
// a load would be refused. Some releases keep that flag with the stored request and read the adapter from disk again at
// every step (prime-rl resets it inside the engine); nothing can be done about it from outside. The first load of an
// adapter goes without the flag.
#pragma once

#include <memory>
#include <string>

#include "adapters/engines/dialect.hpp"

namespace ebb {

struct VllmOptions {
  VllmUpdate update = VllmUpdate::transfer;
  std::string adapter;  ///< the LoRA's name; empty: whole models
};

std::unique_ptr<const EngineDialect> vllm_dialect(VllmOptions options, EngineHttp http);

}  // namespace ebb
