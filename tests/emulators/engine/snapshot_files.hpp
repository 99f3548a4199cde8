// A snapshot's files as an engine reads them: config.json, model.safetensors.index.json (or one model.safetensors) and
// the shards it names; of a LoRA adapter adapter_config.json and adapter_model.safetensors.
//
// What was loaded is told by a digest that anybody who has the tensors can compute again:
//
//   digest = XXH64, seed 0, over for each tensor in ascending order of its name:
//            its name, 0x00, its dtype as in the header ("F32"), 0x00, its raw bytes
//            written as 16 lower-case hex digits
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb::emulator {

struct TensorPlace {
  std::string file;  ///< path
  std::string dtype;
  std::uint64_t offset = 0;  ///< in the file
  std::uint64_t size = 0;
};

/// One safetensors file's header.
struct TensorFile {
  std::map<std::string, TensorPlace> tensors;
  std::map<std::string, std::string> metadata;  ///< "__metadata__"
};

/// Errors are `malformed`: truncated, no such file, not what the format says.
Result<TensorFile> read_tensor_file(const std::string& path);
/// The bytes of one tensor.
Result<std::string> read_tensor(const TensorPlace& place);
Result<std::string> read_text_file(const std::string& path);

/// All tensors of a snapshot's directory; refuses one that holds an increment.
Result<std::map<std::string, TensorPlace>> tensors_of(const std::string& directory);

/// Reads every byte and returns the digest.
Result<std::string> digest_of_snapshot(const std::string& directory);
Result<std::string> digest_of_adapter(const std::string& directory);

/// The last part of a path.
std::string base_name(std::string path);

}  // namespace ebb::emulator
