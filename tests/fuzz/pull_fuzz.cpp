// Any bytes as what ebb-pull reads from a store or a client: heads of safetensors files, indexes, listings, requests,
// and payloads of increments. No crash, no read past the end, no tensor outside of its file, no file outside of its
// directory.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "daemon/pull/delta.hpp"
#include "daemon/pull/files.hpp"
#include "daemon/pull/index.hpp"
#include "daemon/pull/request.hpp"
#include "daemon/pull/s3_list.hpp"
#include "daemon/pull/safetensors.hpp"

using namespace ebb;
using namespace ebb::pull;

namespace {

void head(std::string_view text) {
  for (const std::uint64_t data : {std::uint64_t{0}, std::uint64_t{16}, std::uint64_t{1} << 40}) {
    const std::uint64_t bytes = 8 + text.size() + data;
    const Result<TensorFile> file = tensor_file_from(text, bytes);
    if (!file.ok()) continue;
    std::uint64_t at = file->data_at;
    for (const Tensor& tensor : file->tensors) {
      if (tensor.begin != at || tensor.end < tensor.begin || tensor.end > bytes) std::abort();
      at = tensor.end;
    }
    if (at != bytes) std::abort();
  }
}

void index(std::string_view text) {
  const Result<Index> read = index_from(text);
  if (!read.ok()) return;
  for (const std::string& name : read->file_names()) {
    if (name.find('/') != std::string::npos || name.front() == '.') std::abort();
  }
  if (!index_with_version(text, "1").ok()) std::abort();
}

void listing(std::string_view text) {
  const Result<ListPage> page = list_page_from(text);
  (void)s3_error_text(text);
  if (!page.ok()) return;
  for (const ListedKey& key : page->keys) {
    if (name_fault(key.key).empty() && (key.key.find("..") == 0 || key.key.front() == '/')) std::abort();
  }
}

void request(std::string_view text) {
  const Result<Path> path = path_from(std::string(text), "b");
  if (path.ok() && (!path_fault(*path).empty() || path->back().identity != "b")) std::abort();
}

/// The tensor's size is in two bytes; the chunks are odd on purpose.
void delta(Encoding encoding, std::string_view text) {
  if (text.size() < 2) return;
  const std::size_t bytes = static_cast<unsigned char>(text[0]) * 256u + static_cast<unsigned char>(text[1]);
  text.remove_prefix(2);
  const Payload payload = [text](std::span<std::byte> room) mutable -> Result<std::size_t> {
    const std::size_t count = std::min({room.size(), text.size(), std::size_t{97}});
    std::memcpy(room.data(), text.data(), count);
    text.remove_prefix(count);
    return count;
  };
  TensorDelta one(DeltaFormat{encoding, Checksum::adler32}, payload, bytes, "00000001");
  std::string tensor(bytes, 'a');
  Status done = Done{};
  for (std::size_t at = 0; at < bytes && done.ok(); at += 1'009) {
    const std::span<char> chunk(tensor.data() + at, std::min<std::size_t>(1'009, bytes - at));
    done = one.apply(std::as_writable_bytes(chunk));
  }
  if (done.ok()) (void)one.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'h': head(text); break;
    case 'i': index(text); break;
    case 'l': listing(text); break;
    case 'r': request(text); break;
    case 'x': delta(Encoding::xor_, text); break;
    case 'o': delta(Encoding::overwrite, text); break;
    default: break;
  }
  return 0;
}
