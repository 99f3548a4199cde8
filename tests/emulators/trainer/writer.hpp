// Writes snapshots as a trainer does: every file whole before it has its name, the index last.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "daemon/model/result.hpp"
#include "tests/emulators/trainer/delta.hpp"
#include "tests/emulators/trainer/weights.hpp"

namespace ebb::emulator {

/// A file in the safetensors format: 8 bytes of header length, the header as JSON, the tensors one after the other.
/// `metadata`: the strings of its __metadata__.
std::string safetensors(const Weights& tensors, const std::map<std::string, std::string>& metadata);

class SnapshotWriter {
 public:
  SnapshotWriter(ModelShape shape, DeltaEncoding encoding, ChecksumFormat checksum)
      : shape_(shape), encoding_(encoding), checksum_(checksum) {}

  /// Both make the directory, and return the bytes of the tensor files. `version`: a step, 0 to 999999. What an earlier
  /// attempt has left there is written anew. Errors: `exhausted`, with the file and the reason.
  Result<std::int64_t> full(const std::string& directory, const Weights& weights, std::int64_t version) const;

  /// What leads from `base` to `weights`. `damaged`: one checksum is not that of its tensor, which nobody sees who does
  /// not apply it.
  Result<std::int64_t> incremental(const std::string& directory, const Weights& weights, std::int64_t version,
                                   const Weights& base, std::int64_t base_version, bool damaged) const;

 private:
  ModelShape shape_;
  DeltaEncoding encoding_;
  ChecksumFormat checksum_;
};

}  // namespace ebb::emulator
