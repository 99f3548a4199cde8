// The head of a safetensors file: eight bytes with its length, little endian, then JSON that says where each tensor's
// bytes are. Source of the format: the safetensors README. Everything in it comes from outside and is checked.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb::pull {

struct Tensor {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;  ///< in the file
  std::uint64_t end = 0;
  [[nodiscard]] std::uint64_t bytes() const { return end - begin; }
};

struct TensorFile {
  std::map<std::string, std::string> metadata;
  std::vector<Tensor> tensors;  ///< in the order of the file, without gaps, up to its end
  std::uint64_t data_at = 0;    ///< the first byte after the head
  [[nodiscard]] const Tensor* find(std::string_view name) const;
};

inline constexpr std::uint64_t kHeadMax = 100'000'000;  ///< as the format's own library has it

/// `json` is the head without its length. `malformed`: it is not such a head, or does not describe exactly the bytes of
/// a file of `file_bytes`: tensors that overlap, leave a gap, reach beyond the end, or whose shape is another size.
Result<TensorFile> tensor_file_from(std::string_view json, std::uint64_t file_bytes);

/// Reads the head of an open file. `what` names it in errors.
Result<TensorFile> read_tensor_file(int fd, const std::string& what);

}  // namespace ebb::pull
