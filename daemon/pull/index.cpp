#include "daemon/pull/index.hpp"

#include "daemon/model/json_text.hpp"
#include "daemon/pull/files.hpp"
#include "daemon/pull/strict_json.hpp"

namespace ebb::pull {
namespace {

using nlohmann::json;

constexpr int kDepthMax = 8;  // trainers put things of their own into the metadata

Error malformed(const std::string& what) {
  return Error{ErrorCode::malformed, std::string(kIndexName) + " " + what, false};
}
Error unknown(const std::string& field, const std::string& value, const std::string& known) {
  return Error{ErrorCode::invalid,
               std::string(kIndexName) + ": " + field + " '" + shim::printable(value.substr(0, 64)) +
                   "' is not supported; " + known,
               false};
}

Result<std::optional<std::string>> word(const json& metadata, const char* field) {
  const auto found = metadata.find(field);
  if (found == metadata.end() || found->is_null()) return std::optional<std::string>();
  if (!found->is_string()) return malformed("has a " + std::string(field) + " that is no string");
  return std::optional<std::string>(found->get<std::string>());
}

Result<DeltaFormat> format_from(const std::string& encoding, const json& metadata) {
  DeltaFormat format;
  if (encoding == "overwrite") {
    format.encoding = Encoding::overwrite;
  } else if (encoding != "xor") {
    return unknown("delta_encoding", encoding, "xor and overwrite are");
  }
  const auto compression = word(metadata, "compression_format");
  if (!compression.ok()) return compression.error();
  if (compression->value_or("") != "zstd") return unknown("compression_format", compression->value_or(""), "zstd is");
  const auto checksum = word(metadata, "checksum_format");
  if (!checksum.ok()) return checksum.error();
  const std::optional<Checksum> known = checksum_from(checksum->value_or(""));
  if (!known) return unknown("checksum_format", checksum->value_or(""), "xxh3-128 and adler32 are");
  format.checksum = *known;
  return format;
}

Status read_metadata(const json& metadata, Index& index) {
  if (!metadata.is_object()) return malformed("has metadata that is no object");
  const auto version = word(metadata, "version");
  const auto base = word(metadata, "base_version");
  const auto encoding = word(metadata, "delta_encoding");
  for (const auto* field : {&version, &base, &encoding}) {
    if (!field->ok()) return field->error();
  }
  index.version = *version;
  index.base_version = *base;
  if (!encoding->has_value()) return Done{};
  const Result<DeltaFormat> format = format_from(**encoding, metadata);
  if (!format.ok()) return format.error();
  index.delta = *format;
  return Done{};
}

}  // namespace

std::set<std::string> Index::file_names() const {
  std::set<std::string> names;
  for (const auto& [tensor, file] : files) names.insert(file);
  return names;
}

Result<Index> index_from(std::string_view text) {
  const Result<json> read = parse_strictly(text, kDepthMax);
  if (!read.ok()) return malformed("is " + read.error().what);
  if (!read->is_object() || !read->contains("weight_map") || !read->at("weight_map").is_object())
    return malformed("has no weight_map");
  Index index;
  for (const auto& [tensor, file] : read->at("weight_map").items()) {
    if (!file.is_string()) return malformed("has a weight_map with something else than names");
    const auto name = file.get<std::string>();
    if (!name_fault(name).empty() || name.find('/') != std::string::npos || !ends_with(name, ".safetensors"))
      return malformed("names the file '" + shim::printable(name.substr(0, 128)) +
                       "', which is no safetensors file of its directory");
    index.files[tensor] = name;
  }
  if (const auto metadata = read->find("metadata"); metadata != read->end()) {
    if (const Status done = read_metadata(*metadata, index); !done.ok()) return done.error();
  }
  return index;
}

Result<std::string> index_with_version(std::string_view text, const std::string& version) {
  Result<json> read = parse_strictly(text, kDepthMax);
  if (!read.ok() || !read->is_object()) return malformed("cannot be read again");
  json& metadata = (*read)["metadata"];
  if (!metadata.is_object()) metadata = json::object();
  metadata["version"] = version;
  return json_text(*read);
}

}  // namespace ebb::pull
