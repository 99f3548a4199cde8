// One increment of one tensor, applied from front to back, so that no tensor is ever whole in memory and several
// increments go on top of each other in one pass. Source of the format: slime and Miles (reference, section 4.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "daemon/model/result.hpp"
#include "daemon/pull/index.hpp"

namespace ebb::pull {

/// The next compressed bytes: fills `room` from its start and says how many; 0 at the end.
using Payload = std::function<Result<std::size_t>(std::span<std::byte> room)>;

/// What is needed of it: about 1 MiB, and for `overwrite` five bytes for every byte that changes.
class TensorDelta {
 public:
  /// Of a tensor with `bytes` bytes whose new checksum must be `sum` (hex).
  TensorDelta(DeltaFormat format, Payload payload, std::uint64_t bytes, std::string sum);
  ~TensorDelta();
  TensorDelta(const TensorDelta&) = delete;
  TensorDelta& operator=(const TensorDelta&) = delete;

  /// Takes the next old bytes and makes them new. `malformed`: the payload is not what it should be.
  Status apply(std::span<std::byte> chunk);
  /// After the last chunk: whether the payload ended there, and whether this is the tensor that the trainer had.
  Status finish();

 private:
  struct State;
  Status begin();
  Status overwrite(std::span<std::byte> chunk);
  std::unique_ptr<State> state_;
};

}  // namespace ebb::pull
