// The weights that the stand-in trainer trains: small tensors whose every byte follows from a seed and a step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ebb::emulator {

struct Tensor {
  std::string name;
  std::string dtype;  ///< as in safetensors: BF16, F32
  std::vector<std::int64_t> shape;
  std::string bytes;
  int layer = 0;  ///< tensors of one layer share a file; 0 holds what belongs to none
  friend bool operator==(const Tensor&, const Tensor&) = default;
};

/// Sorted by name.
using Weights = std::vector<Tensor>;

struct ModelShape {
  int layers = 4;
  int hidden = 64;
  int vocabulary = 512;
};

/// What training begins with.
Weights initial_weights(const ModelShape& shape, std::uint64_t seed);

/// The weights after one more step: about one in fifty values of most tensors moves a little, norms move every fifth
/// step only, as bf16 weights do under a small learning rate.
Weights after_step(Weights weights, std::uint64_t seed, std::int64_t step);

/// config.json of the model, as transformers' AutoConfig reads it.
std::string config_json(const ModelShape& shape);

/// 16 hex digits: XXH64 with seed 0 over, for each tensor in the order of names, name, 0x00, dtype, 0x00, bytes.
std::string digest_of(const Weights& weights);

}  // namespace ebb::emulator
