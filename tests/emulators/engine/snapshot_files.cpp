#include "tests/emulators/engine/snapshot_files.hpp"

#include <spdlog/fmt/fmt.h>
#include <xxhash.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <utility>

namespace ebb::emulator {

namespace {

using nlohmann::json;

constexpr std::uint64_t kHeaderMax = 100u << 20;

Error malformed(const std::string& path, const std::string& why) {
  return Error{ErrorCode::malformed, path + ": " + why, false};
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos;
}

Result<json> read_object(const std::string& path) {
  auto text = read_text_file(path);
  if (!text) return text.error();
  json parsed = json::parse(*text, nullptr, false);
  if (!parsed.is_object()) return malformed(path, "no JSON object");
  return parsed;
}

/// The header's length and text. The file's length goes to `length`.
Result<std::string> read_header(std::ifstream& file, const std::string& path, std::uint64_t& length) {
  file.seekg(0, std::ios::end);
  length = static_cast<std::uint64_t>(file.tellg());
  file.seekg(0);
  unsigned char raw[8];
  file.read(reinterpret_cast<char*>(raw), 8);
  if (!file) return malformed(path, "shorter than a header");
  std::uint64_t size = 0;
  for (int i = 7; i >= 0; --i) size = size << 8 | raw[i];
  if (size > kHeaderMax || size + 8 > length) return malformed(path, "truncated in its header");
  std::string text(size, '\0');
  file.read(text.data(), static_cast<std::streamsize>(size));
  if (!file) return malformed(path, "truncated in its header");
  return text;
}

Result<std::string> digest(const std::map<std::string, TensorPlace>& tensors) {
  const std::unique_ptr<XXH64_state_t, XXH_errorcode (*)(XXH64_state_t*)> state(XXH64_createState(), XXH64_freeState);
  XXH64_reset(state.get(), 0);
  for (const auto& [name, place] : tensors) {
    auto bytes = read_tensor(place);
    if (!bytes) return bytes.error();
    XXH64_update(state.get(), name.c_str(), name.size() + 1);
    XXH64_update(state.get(), place.dtype.c_str(), place.dtype.size() + 1);
    XXH64_update(state.get(), bytes->data(), bytes->size());
  }
  return fmt::format("{:016x}", XXH64_digest(state.get()));
}

}  // namespace

Result<std::string> read_text_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{ErrorCode::not_found, path + ": no such file", false};
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

Result<TensorFile> read_tensor_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{ErrorCode::not_found, path + ": no such file", false};
  std::uint64_t length = 0;
  const auto text = read_header(file, path, length);
  if (!text) return text.error();
  const json header = json::parse(*text, nullptr, false);
  if (!header.is_object()) return malformed(path, "its header is no JSON object");
  const std::uint64_t begin = 8 + text->size();
  TensorFile out;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) return malformed(path, "its metadata is no object");
      for (const auto& [key, value] : entry.items()) {
        if (value.is_string()) out.metadata[key] = value.get<std::string>();
      }
      continue;
    }
    const bool sound = entry.is_object() && entry.contains("dtype") && entry.at("dtype").is_string() &&
                       entry.contains("data_offsets") && entry.at("data_offsets").is_array() &&
                       entry.at("data_offsets").size() == 2 && entry.at("data_offsets")[0].is_number_unsigned() &&
                       entry.at("data_offsets")[1].is_number_unsigned();
    if (!sound) return malformed(path, "the entry of '" + name + "' cannot be understood");
    const auto from = entry.at("data_offsets")[0].get<std::uint64_t>();
    const auto to = entry.at("data_offsets")[1].get<std::uint64_t>();
    if (from > to || begin + to > length) return malformed(path, "truncated: '" + name + "' ends behind the file");
    out.tensors[name] = TensorPlace{path, entry.at("dtype").get<std::string>(), begin + from, to - from};
  }
  return out;
}

Result<std::string> read_tensor(const TensorPlace& place) {
  std::ifstream file(place.file, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(place.offset));
  std::string bytes(place.size, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) return malformed(place.file, "truncated");
  return bytes;
}

Result<std::map<std::string, TensorPlace>> tensors_of(const std::string& directory) {
  const auto config = read_object(directory + "/config.json");
  if (!config) return config.error();
  const std::string index_path = directory + "/model.safetensors.index.json";
  const auto index = read_object(index_path);
  if (!index && index.error().code != ErrorCode::not_found) return index.error();
  if (!index) {
    auto only = read_tensor_file(directory + "/model.safetensors");
    if (!only) return malformed(directory, "neither an index nor a model.safetensors");
    return std::move((*only).tensors);
  }
  if (index->contains("metadata") && index->at("metadata").contains("delta_encoding")) {
    return malformed(index_path, "an increment, not a whole snapshot");
  }
  if (!index->contains("weight_map") || !index->at("weight_map").is_object()) {
    return malformed(index_path, "no weight_map");
  }
  std::map<std::string, TensorFile> files;
  std::map<std::string, TensorPlace> out;
  for (const auto& [tensor, file] : index->at("weight_map").items()) {
    if (!file.is_string() || !is_plain_name(file.get<std::string>())) return malformed(index_path, "a bad file name");
    const auto name = file.get<std::string>();
    if (!files.contains(name)) {
      auto read = read_tensor_file(directory + "/" + name);
      if (!read) return read.error();
      files[name] = std::move(*read);
    }
    const auto at = files.at(name).tensors.find(tensor);
    if (at == files.at(name).tensors.end()) return malformed(name, "has no '" + tensor + "', which the index promises");
    out[tensor] = at->second;
  }
  return out;
}

Result<std::string> digest_of_snapshot(const std::string& directory) {
  const auto tensors = tensors_of(directory);
  if (!tensors) return tensors.error();
  return digest(*tensors);
}

Result<std::string> digest_of_adapter(const std::string& directory) {
  const auto config = read_object(directory + "/adapter_config.json");
  if (!config) return config.error();
  const auto file = read_tensor_file(directory + "/adapter_model.safetensors");
  if (!file) return file.error();
  return digest(file->tensors);
}

std::string base_name(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path.substr(path.rfind('/') + 1);
}

}  // namespace ebb::emulator
