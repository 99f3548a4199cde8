// What the files of a snapshot say of its tensors. Pure. Formats: safetensors (8 bytes of length, little endian; a JSON
// header; the data), Hugging Face's model.safetensors.index.json, and the on-disk increments of slime and Miles, whose
// index has `delta_encoding` in its metadata.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb {

/// Of the length that a safetensors file begins with.
inline constexpr std::int64_t kSafetensorsPrefix = 8;
/// The format's own limit.
inline constexpr std::int64_t kSafetensorsHeaderMax = 100'000'000;

struct Tensor {
  std::string dtype;  ///< "BF16", "U8", ...
  std::vector<std::int64_t> shape;
  std::int64_t bytes = 0;
  friend bool operator==(const Tensor&, const Tensor&) = default;
};

struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
  std::int64_t data_bytes = 0;  ///< what must stand behind the header
};

/// Length of the header, of a file's first bytes. `malformed`: fewer than 8 bytes, 0, or above the limit.
Result<std::int64_t> safetensors_header_length(std::string_view first);

/// The header. `malformed`: no JSON, a dtype that is unknown, a shape that does not fit its bytes, and spans that
/// overlap or leave holes.
Result<TensorFile> read_safetensors_header(std::string_view header);

struct TensorIndex {
  std::map<std::string, std::string> weight_map;  ///< tensor -> file
  std::map<std::string, std::string> metadata;    ///< those that are words
  [[nodiscard]] bool is_delta() const { return metadata.contains("delta_encoding"); }
};

/// model.safetensors.index.json. `malformed`: no JSON, no weight_map, or a file's name with a slash.
Result<TensorIndex> read_tensor_index(std::string_view text);

/// Empty, or why the text is no JSON object.
std::string json_object_fault(std::string_view text);

}  // namespace ebb
