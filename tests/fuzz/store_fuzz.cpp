// Any bytes as what a store answers and as what uploaders put there: no crash, and nothing that cannot be.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "adapters/s3/protocol.hpp"
#include "daemon/core/snapshot_files.hpp"
#include "daemon/model/json_safetensors.hpp"

using namespace ebb;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const Result<S3Listing> listing = read_listing(text); listing.ok()) {
    for (const StoredFile& object : listing->objects) {
      if (object.name.empty() || object.size < 0) std::abort();
    }
  }
  HttpResponse answer;
  answer.status = 403;
  answer.body = std::string(text);
  const Error error = s3_error(S3Config(), S3Place{"b", ""}, "list s3://b/", answer);
  if (error.what.size() > 1'000 || error.what.find('\n') != std::string::npos) std::abort();
  (void)safetensors_header_length(text);
  if (const Result<TensorFile> file = read_safetensors_header(text); file.ok()) {
    std::int64_t bytes = 0;
    for (const auto& [name, tensor] : file->tensors) bytes += tensor.bytes;
    if (bytes != file->data_bytes) std::abort();
  }
  if (const Result<TensorIndex> index = read_tensor_index(text); index.ok()) {
    Snapshot snapshot;
    (void)index_fault(snapshot, *index, nullptr);
    for (const auto& [file, tensors] : by_file(*index)) {
      if (file.empty() || file.find('/') != std::string::npos || tensors.empty()) std::abort();
    }
  }
  return 0;
}
