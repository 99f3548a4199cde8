#include "daemon/model/json_safetensors.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace ebb {
namespace {

using nlohmann::json;

Error malformed(std::string what) { return {ErrorCode::malformed, std::move(what), false}; }

/// Bits of one element. Source: the safetensors format's Dtype.
std::optional<int> bits_of(std::string_view dtype) {
  static const std::map<std::string_view, int> kBits{
      {"BOOL", 8},        {"U8", 8},          {"I8", 8},      {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8},
      {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
      {"I32", 32},        {"U32", 32},        {"F32", 32},    {"C64", 64},    {"F64", 64},    {"I64", 64},
      {"U64", 64},        {"F4", 4},          {"F6_E2M3", 6}, {"F6_E3M2", 6}};
  const auto found = kBits.find(dtype);
  if (found == kBits.end()) return std::nullopt;
  return found->second;
}

std::optional<std::int64_t> count_in(const json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto number = value.get<std::uint64_t>();
  if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

/// Bytes of a tensor, or nothing where it is no whole number of them or beyond all measure.
std::optional<std::int64_t> bytes_of(const std::vector<std::int64_t>& shape, int bits) {
  std::int64_t total = bits;
  for (const std::int64_t side : shape) {
    if (__builtin_mul_overflow(total, side, &total)) return std::nullopt;
  }
  if (total % 8 != 0) return std::nullopt;
  return total / 8;
}

struct Span {
  std::int64_t begin = 0, end = 0;
};

Result<std::pair<Tensor, Span>> read_tensor(const std::string& name, const json& value) {
  const auto dtype = value.find("dtype"), shape = value.find("shape"), span = value.find("data_offsets");
  if (dtype == value.end() || shape == value.end() || span == value.end() || !dtype->is_string() ||
      !shape->is_array() || !span->is_array() || span->size() != 2) {
    return malformed("the tensor " + name + " needs a dtype, a shape and data_offsets");
  }
  Tensor out;
  out.dtype = dtype->get<std::string>();
  const std::optional<int> bits = bits_of(out.dtype);
  if (!bits) return malformed("the tensor " + name + " has the unknown dtype " + out.dtype.substr(0, 32));
  for (const json& side : *shape) {
    const std::optional<std::int64_t> length = count_in(side);
    if (!length) return malformed("the tensor " + name + " has an odd shape");
    out.shape.push_back(*length);
  }
  const std::optional<std::int64_t> begin = count_in((*span)[0]), end = count_in((*span)[1]);
  const std::optional<std::int64_t> bytes = bytes_of(out.shape, *bits);
  if (!begin || !end || !bytes || *end < *begin || *end - *begin != *bytes) {
    return malformed("the tensor " + name + " has data_offsets that do not fit its shape");
  }
  out.bytes = *bytes;
  return std::pair(std::move(out), Span{*begin, *end});
}

json parsed(std::string_view text) { return json::parse(text.begin(), text.end(), nullptr, false); }

}  // namespace

Result<std::int64_t> safetensors_header_length(std::string_view first) {
  if (first.size() < static_cast<std::size_t>(kSafetensorsPrefix)) return malformed("it is shorter than 8 bytes");
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = (length << 8) | static_cast<unsigned char>(first[i]);
  if (length == 0 || length > static_cast<std::uint64_t>(kSafetensorsHeaderMax)) {
    return malformed("it does not begin with the length of a header");
  }
  return static_cast<std::int64_t>(length);
}

Result<TensorFile> read_safetensors_header(std::string_view header) {
  const json document = parsed(header);
  if (!document.is_object()) return malformed("its header is no JSON object");
  TensorFile out;
  std::vector<Span> spans;
  for (const auto& [name, value] : document.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) return malformed("its __metadata__ is no object");
      for (const auto& [key, word] : value.items()) {
        if (!word.is_string()) return malformed("its __metadata__ holds something else than words");
        out.metadata[key] = word.get<std::string>();
      }
      continue;
    }
    if (!value.is_object()) return malformed("the tensor " + name + " is no object");
    Result<std::pair<Tensor, Span>> tensor = read_tensor(name, value);
    if (!tensor.ok()) return tensor.error();
    spans.push_back(tensor->second);
    out.tensors[name] = std::move(tensor->first);
  }
  std::sort(spans.begin(), spans.end(),
            [](const Span& a, const Span& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  for (const Span& span : spans) {
    if (span.begin != out.data_bytes) return malformed("its tensors overlap or leave holes");
    out.data_bytes = span.end;
  }
  return out;
}

Result<TensorIndex> read_tensor_index(std::string_view text) {
  const json document = parsed(text);
  if (!document.is_object()) return malformed("it is no JSON object");
  const auto map = document.find("weight_map");
  if (map == document.end() || !map->is_object()) return malformed("it has no weight_map");
  TensorIndex out;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) return malformed("its weight_map names no file for " + tensor);
    std::string name = file.get<std::string>();
    if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos) {
      return malformed("its weight_map names a file that is none of the snapshot's own");
    }
    out.weight_map[tensor] = std::move(name);
  }
  if (const auto metadata = document.find("metadata"); metadata != document.end() && metadata->is_object()) {
    for (const auto& [key, word] : metadata->items()) {
      if (word.is_string()) out.metadata[key] = word.get<std::string>();
    }
  }
  return out;
}

std::string json_object_fault(std::string_view text) {
  const json document = parsed(text);
  if (document.is_discarded()) return "it is no JSON";
  return document.is_object() ? "" : "it is no JSON object";
}

}  // namespace ebb
