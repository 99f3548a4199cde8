#include "tests/emulators/trainer/weights.hpp"

#include <spdlog/fmt/fmt.h>
#include <xxhash.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>

namespace ebb::emulator {

namespace {

constexpr int kNormsEvery = 5;
constexpr std::uint64_t kOneIn = 50;

std::mt19937_64 dice_of(std::uint64_t seed, std::int64_t step, std::size_t tensor) {
  std::seed_seq seeds{seed & 0xFFFFFFFF, seed >> 32, static_cast<std::uint64_t>(step), std::uint64_t{tensor}};
  return std::mt19937_64(seeds);
}

std::size_t width_of(const std::string& dtype) { return dtype == "F32" ? 4 : 2; }

bool is_norm(const Tensor& tensor) { return tensor.shape.size() == 1; }

Tensor blank(std::string name, int layer, std::vector<std::int64_t> shape) {
  Tensor tensor;
  tensor.name = std::move(name);
  tensor.layer = layer;
  tensor.dtype = shape.size() == 1 ? "F32" : "BF16";
  std::size_t values = 1;
  for (const std::int64_t side : shape) values *= static_cast<std::size_t>(side);
  tensor.bytes.resize(values * width_of(tensor.dtype));
  tensor.shape = std::move(shape);
  return tensor;
}

/// Little-endian: the last byte of a value has its sign and most of its exponent, here always those of about 0.01.
void fill(Tensor& tensor, std::mt19937_64& dice) {
  const std::size_t width = width_of(tensor.dtype);
  for (std::size_t at = 0; at < tensor.bytes.size(); at += width) {
    const std::uint64_t bits = dice();
    for (std::size_t i = 0; i + 1 < width; ++i) tensor.bytes[at + i] = static_cast<char>(bits >> (8 * i));
    tensor.bytes[at + width - 1] = static_cast<char>(bits >> 63 != 0 ? 0xBC : 0x3C);
  }
}

void nudge(Tensor& tensor, std::mt19937_64& dice) {
  const std::size_t width = width_of(tensor.dtype);
  for (std::size_t at = 0; at < tensor.bytes.size(); at += width) {
    const std::uint64_t bits = dice();
    if (bits % kOneIn != 0) continue;
    const auto by = static_cast<unsigned char>(1 + (bits >> 32) % 3);
    const auto low = static_cast<unsigned char>(tensor.bytes[at]);
    tensor.bytes[at] = static_cast<char>(low + by);
  }
}

/// The library wants a state of its own; without memory there is nothing to go on with.
struct Hash {
  Hash() {
    if (state == nullptr || XXH64_reset(state, 0) == XXH_ERROR) throw std::runtime_error("no memory for a digest");
  }
  ~Hash() { XXH64_freeState(state); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;
  void add(const std::string& bytes) { (void)XXH64_update(state, bytes.data(), bytes.size()); }
  XXH64_state_t* state = XXH64_createState();
};

}  // namespace

Weights initial_weights(const ModelShape& shape, std::uint64_t seed) {
  const std::int64_t h = shape.hidden;
  Weights weights;
  weights.push_back(blank("model.embed_tokens.weight", 0, {shape.vocabulary, h}));
  weights.push_back(blank("lm_head.weight", 0, {shape.vocabulary, h}));
  weights.push_back(blank("model.norm.weight", 0, {h}));
  for (int layer = 0; layer < shape.layers; ++layer) {
    const std::string head = fmt::format("model.layers.{}.", layer);
    weights.push_back(blank(head + "input_layernorm.weight", layer + 1, {h}));
    for (const char* part : {"q", "k", "v", "o"}) {
      weights.push_back(blank(head + "self_attn." + part + "_proj.weight", layer + 1, {h, h}));
    }
    weights.push_back(blank(head + "mlp.up_proj.weight", layer + 1, {4 * h, h}));
    weights.push_back(blank(head + "mlp.down_proj.weight", layer + 1, {h, 4 * h}));
  }
  std::sort(weights.begin(), weights.end(), [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
  for (std::size_t i = 0; i < weights.size(); ++i) {
    std::mt19937_64 dice = dice_of(seed, 0, i);
    fill(weights[i], dice);
  }
  return weights;
}

Weights after_step(Weights weights, std::uint64_t seed, std::int64_t step) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (is_norm(weights[i]) && step % kNormsEvery != 0) continue;
    std::mt19937_64 dice = dice_of(seed, step, i);
    nudge(weights[i], dice);
  }
  return weights;
}

std::string config_json(const ModelShape& shape) {
  const nlohmann::json config{{"architectures", {"LlamaForCausalLM"}},
                              {"model_type", "llama"},
                              {"hidden_size", shape.hidden},
                              {"intermediate_size", 4 * shape.hidden},
                              {"num_hidden_layers", shape.layers},
                              {"num_attention_heads", 4},
                              {"num_key_value_heads", 4},
                              {"vocab_size", shape.vocabulary},
                              {"torch_dtype", "bfloat16"}};
  return config.dump(2) + "\n";
}

std::string digest_of(const Weights& weights) {
  Hash hash;
  const std::string zero(1, '\0');
  for (const Tensor& tensor : weights) {
    hash.add(tensor.name + zero + tensor.dtype + zero);
    hash.add(tensor.bytes);
  }
  return fmt::format("{:016x}", XXH64_digest(hash.state));
}

}  // namespace ebb::emulator
