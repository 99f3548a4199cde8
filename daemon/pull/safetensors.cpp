#include "daemon/pull/safetensors.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "daemon/pull/files.hpp"
#include "daemon/pull/strict_json.hpp"

namespace ebb::pull {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr int kDepthMax = 3;  // the head, a tensor, its shape

Error malformed(const std::string& what) { return Error{ErrorCode::malformed, what, false}; }

/// Bits of one element; 0 for a type this build has not heard of, whose sizes are then taken as given.
unsigned bits_of(const std::string& dtype) {
  struct Known {
    const char* name;
    unsigned bits;
  };
  static constexpr std::array kKnown{
      Known{"F4", 4},    Known{"F6_E2M3", 6}, Known{"F6_E3M2", 6}, Known{"BOOL", 8}, Known{"U8", 8},
      Known{"I8", 8},    Known{"F8_E4M3", 8}, Known{"F8_E5M2", 8}, Known{"F16", 16}, Known{"F8_E8M0", 8},
      Known{"BF16", 16}, Known{"I16", 16},    Known{"U16", 16},    Known{"F32", 32}, Known{"F8_E4M3FNUZ", 8},
      Known{"I32", 32},  Known{"U32", 32},    Known{"F64", 64},    Known{"I64", 64}, Known{"F8_E5M2FNUZ", 8},
      Known{"U64", 64},  Known{"C64", 64},
  };
  for (const Known& known : kKnown) {
    if (dtype == known.name) return known.bits;
  }
  return 0;
}

/// Bytes of the whole tensor, unless no 64 bits hold them.
std::optional<std::uint64_t> bytes_of(const std::vector<std::uint64_t>& shape, unsigned bits) {
  std::uint64_t total = bits;
  for (const std::uint64_t side : shape) {
    if (__builtin_mul_overflow(total, side, &total)) return std::nullopt;
  }
  if (total % 8 != 0) return std::nullopt;
  return total / 8;
}

std::optional<std::vector<std::uint64_t>> numbers(const json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end() || !found->is_array()) return std::nullopt;
  std::vector<std::uint64_t> out;
  for (const json& value : *found) {
    if (!value.is_number_unsigned()) return std::nullopt;
    out.push_back(value.get<std::uint64_t>());
  }
  return out;
}

Result<Tensor> tensor_from(const std::string& name, const json& said, std::uint64_t data_at, std::uint64_t file_bytes) {
  const std::string who = "tensor '" + shim::printable(name) + "'";
  if (!said.is_object() || said.size() != 3)
    return malformed(who + " has other fields than dtype, shape, data_offsets");
  const auto dtype = said.find("dtype");
  const auto shape = numbers(said, "shape");
  const auto place = numbers(said, "data_offsets");
  if (dtype == said.end() || !dtype->is_string() || !shape || !place || place->size() != 2)
    return malformed(who + " has no proper dtype, shape or data_offsets");
  const std::uint64_t begin = (*place)[0];
  const std::uint64_t end = (*place)[1];
  if (begin > end || end > file_bytes - data_at) return malformed(who + " lies outside of its file");
  Tensor tensor;
  tensor.name = name;
  tensor.dtype = dtype->get<std::string>();
  tensor.shape = *shape;
  tensor.begin = data_at + begin;
  tensor.end = data_at + end;
  const unsigned bits = bits_of(tensor.dtype);
  if (bits != 0 && bytes_of(tensor.shape, bits) != tensor.bytes())
    return malformed(who + " has " + std::to_string(tensor.bytes()) + " bytes, which is not its shape in " +
                     tensor.dtype);
  return tensor;
}

Status read_metadata(const json& said, std::map<std::string, std::string>& out) {
  if (!said.is_object()) return malformed("__metadata__ is no object");
  for (const auto& [key, value] : said.items()) {
    if (!value.is_string()) return malformed("__metadata__ holds something else than strings");
    out[key] = value.get<std::string>();
  }
  return Done{};
}

/// From the head's end to the file's end, each byte in one tensor.
Status check_places(std::vector<Tensor>& tensors, std::uint64_t data_at, std::uint64_t file_bytes) {
  std::sort(tensors.begin(), tensors.end(),
            [](const Tensor& a, const Tensor& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
  std::uint64_t at = data_at;
  for (const Tensor& tensor : tensors) {
    if (tensor.begin != at)
      return malformed("tensor '" + shim::printable(tensor.name) +
                       (tensor.begin < at ? "' overlaps another" : "' comes after a gap"));
    at = tensor.end;
  }
  if (at != file_bytes)
    return malformed("the tensors end at byte " + std::to_string(at) + " of " + std::to_string(file_bytes));
  return Done{};
}

}  // namespace

const Tensor* TensorFile::find(std::string_view name) const {
  for (const Tensor& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

Result<TensorFile> tensor_file_from(std::string_view text, std::uint64_t file_bytes) {
  TensorFile file;
  file.data_at = kLengthBytes + text.size();
  if (file.data_at > file_bytes) return malformed("the head is longer than the file");
  const Result<json> head = parse_strictly(text, kDepthMax);
  if (!head.ok()) return malformed("the head: " + head.error().what);
  if (!head->is_object()) return malformed("the head is no object");
  for (const auto& [name, said] : head->items()) {
    if (name == "__metadata__") {
      if (const Status read = read_metadata(said, file.metadata); !read.ok()) return read.error();
      continue;
    }
    Result<Tensor> tensor = tensor_from(name, said, file.data_at, file_bytes);
    if (!tensor.ok()) return tensor.error();
    file.tensors.push_back(std::move(*tensor));
  }
  if (const Status well = check_places(file.tensors, file.data_at, file_bytes); !well.ok()) return well.error();
  return file;
}

Result<TensorFile> read_tensor_file(int fd, const std::string& what) {
  const Result<struct stat> now = stat_of(fd, what);
  if (!now.ok()) return now.error();
  const auto file_bytes = static_cast<std::uint64_t>(now->st_size);
  std::array<std::byte, kLengthBytes> raw{};
  if (file_bytes < raw.size()) return malformed(what + " is too short for a safetensors file");
  if (const Status read = read_exactly(fd, 0, raw, what); !read.ok()) return read.error();
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < raw.size(); ++i) length |= std::to_integer<std::uint64_t>(raw[i]) << (8 * i);
  if (length > kHeadMax || length > file_bytes - kLengthBytes)
    return malformed(what + " says that its head has " + std::to_string(length) + " bytes");
  std::string text(static_cast<std::size_t>(length), '\0');
  const std::span<std::byte> room = std::as_writable_bytes(std::span<char>(text));
  if (const Status read = read_exactly(fd, kLengthBytes, room, what); !read.ok()) return read.error();
  Result<TensorFile> file = tensor_file_from(text, file_bytes);
  if (!file.ok()) return Error{file.error().code, what + ": " + file.error().what, false};
  return file;
}

}  // namespace ebb::pull
