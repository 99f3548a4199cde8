// An S3-compatible store. Requests are signed by libcurl (AWS Signature Version 4); libcurl 7.88 signs the header
// x-amz-content-sha256 but does not make it, and takes the query as it is, which therefore is sorted and encoded here.
#include <curl/curl.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <thread>

#include "adapters/http/auth.hpp"
#include "daemon/pull/files.hpp"
#include "daemon/pull/s3_list.hpp"
#include "daemon/pull/store.hpp"
#include "daemon/version.hpp"

namespace ebb::pull {
namespace {

constexpr const char* kEmptySha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::size_t kListMax = 16u << 20;  ///< of one page, which has at most 1,000 keys
constexpr std::size_t kErrorMax = 16u << 10;
constexpr std::size_t kKeysMax = 100'000;
constexpr long kStallBytes = 10'240;  ///< a second
constexpr long kConnectMs = 5'000;
constexpr long kBuffer = 512L << 10;  ///< CURL_MAX_READ_SIZE: fewer, larger writes

std::string percent(std::string_view text, bool keep_slash) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~' || (c == '/' && keep_slash);
    if (plain) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return out;
}

/// Where the bucket is and how to ask.
struct Place {
  std::string base;    ///< http(s)://host[:port][/bucket], without a slash at the end
  std::string prefix;  ///< of every key; empty, or with a slash at the end
  StoreOptions options;
};

struct Slist {
  curl_slist* list = nullptr;
  ~Slist() { curl_slist_free_all(list); }
  bool add(const std::string& line) {
    curl_slist* longer = curl_slist_append(list, line.c_str());
    if (longer != nullptr) list = longer;
    return longer != nullptr;
  }
};

/// One request, and what came of it.
struct Exchange {
  std::string url;
  std::string range;     ///< "0-99"; empty: all of it
  std::string if_match;  ///< an ETag
  int to = -1;           ///< where the body goes; -1: into `text`
  std::uint64_t at = 0;
  std::uint64_t room = 0;
  const Stop* stop = nullptr;

  CURL* easy = nullptr;
  std::uint64_t got = 0;
  std::string etag;  ///< of the answer
  std::string text;
  std::optional<Error> failed;

  [[nodiscard]] long status() const {
    long code = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    return code;
  }
};

std::size_t take_body(char* data, std::size_t, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const bool well = exchange.status() / 100 == 2;
  if (!well || exchange.to < 0) {
    const std::size_t most = well ? kListMax : kErrorMax;
    if (exchange.text.size() + count > most) {
      if (!well) return count;  // the start of an error says enough
      exchange.failed = Error{ErrorCode::malformed, "the answer is longer than 16 MiB", false};
      return 0;
    }
    exchange.text.append(data, count);
    return count;
  }
  if (exchange.got + count > exchange.room) {
    exchange.failed = Error{ErrorCode::malformed, "the store sends more than the range that was asked for", false};
    return 0;
  }
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), count);
  const Status written = write_exactly(exchange.to, exchange.at + exchange.got, bytes, "the file");
  if (!written.ok()) exchange.failed = written.error();
  exchange.got += count;
  return written.ok() ? count : 0;
}

std::size_t take_header(char* data, std::size_t, std::size_t count, void* user) {
  static constexpr std::string_view kName = "etag:";
  std::string_view line(data, count);
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n' || line.back() == ' ')) line.remove_suffix(1);
  if (line.size() < kName.size() || ::strncasecmp(line.data(), kName.data(), kName.size()) != 0) return count;
  line.remove_prefix(kName.size());
  while (line.starts_with(' ')) line.remove_prefix(1);
  static_cast<Exchange*>(user)->etag = bare_etag(line);
  return count;
}

int look_at_stop(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Exchange*>(user)->stop->requested() ? 1 : 0;
}

Error transport_error(CURLcode code, const char* detail) {
  const std::string what = detail != nullptr && *detail != '\0' ? detail : curl_easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT: return Error{ErrorCode::timeout, what, true};
    case CURLE_ABORTED_BY_CALLBACK: return stopped();
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_CACERT_BADFILE: return Error{ErrorCode::invalid, what, false};
    case CURLE_PEER_FAILED_VERIFICATION: return Error{ErrorCode::denied, what, false};
    default: return Error{ErrorCode::unreachable, what, true};
  }
}

Error status_error(long status, const std::string& body) {
  const std::string said = s3_error_text(body);
  std::string what = "HTTP " + std::to_string(status) + (said.empty() ? "" : ", " + said);
  if (said.starts_with("RequestTimeTooSkewed")) what += " (is this host's clock right?)";
  if (status == 400 || status == 405) return Error{ErrorCode::invalid, what, said.starts_with("RequestTimeout")};
  if (status == 401 || status == 403) return Error{ErrorCode::denied, what, false};
  if (status == 404) return Error{ErrorCode::not_found, what, true};
  if (status == 412 || status == 416) return Error{ErrorCode::conflict, "the object has changed: " + what, true};
  if (status == 429 || status == 503) return Error{ErrorCode::throttled, what, true};
  if (status == 301 || status == 302 || status == 307 || status == 308)
    return Error{ErrorCode::invalid, what + ": the bucket is elsewhere; check --region and --endpoint", false};
  return Error{ErrorCode::internal, what, status == 408 || status == 425 || status >= 500};
}

/// A connection of one thread. Credentials are read for every request, so that rotated ones need no restart.
class S3Connection {
 public:
  explicit S3Connection(const Place& place) : place_(place), easy_(curl_easy_init()) {}
  ~S3Connection() { curl_easy_cleanup(easy_); }
  S3Connection(const S3Connection&) = delete;
  S3Connection& operator=(const S3Connection&) = delete;

  Status send(Exchange& exchange) {
    if (easy_ == nullptr) return Error{ErrorCode::exhausted, "no memory for a connection", true};
    curl_easy_reset(easy_);
    exchange.easy = easy_;
    std::array<char, CURL_ERROR_SIZE> detail{};
    set(CURLOPT_ERRORBUFFER, detail.data());
    set_transfer(exchange);
    Slist headers;
    if (Status ready = set_headers(exchange, headers); !ready.ok()) return ready;
    const CURLcode code = curl_easy_perform(easy_);
    if (exchange.failed) return *exchange.failed;
    if (code != CURLE_OK) return transport_error(code, detail.data());
    const long status = exchange.status();
    if (status != 200 && status != 206) return status_error(status, exchange.text);
    return Done{};
  }

 private:
  template <class Value>
  void set(CURLoption option, Value value) {
    curl_easy_setopt(easy_, option, value);
  }

  void set_transfer(Exchange& exchange) {
    set(CURLOPT_URL, exchange.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_PATH_AS_IS, 1L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_BUFFERSIZE, kBuffer);
    set(CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
    set(CURLOPT_LOW_SPEED_LIMIT, kStallBytes);
    set(CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(place_.options.stall_timeout.count() / 1'000)));
    set(CURLOPT_USERAGENT, user_agent_.c_str());
    set(CURLOPT_WRITEFUNCTION, &take_body);
    set(CURLOPT_WRITEDATA, &exchange);
    set(CURLOPT_HEADERFUNCTION, &take_header);
    set(CURLOPT_HEADERDATA, &exchange);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &look_at_stop);
    set(CURLOPT_XFERINFODATA, &exchange);
    if (!exchange.range.empty()) set(CURLOPT_RANGE, exchange.range.c_str());
    if (!place_.options.ca_file.empty()) set(CURLOPT_CAINFO, place_.options.ca_file.c_str());
  }

  Status set_headers(const Exchange& exchange, Slist& headers) {
    bool well = true;
    if (!exchange.if_match.empty()) well = headers.add("If-Match: " + exchange.if_match);
    if (!place_.options.access_key_id.empty()) {
      const Result<std::string> key = read_secret(place_.options.access_key_id);
      if (!key.ok()) return key.error();
      const Result<std::string> secret = read_secret(place_.options.secret_access_key);
      if (!secret.ok()) return secret.error();
      if (!place_.options.session_token.empty()) {
        const Result<std::string> token = read_secret(place_.options.session_token);
        if (!token.ok()) return token.error();
        well = headers.add("x-amz-security-token: " + *token) && well;
      }
      well = headers.add(std::string("x-amz-content-sha256: ") + kEmptySha256) && well;
      set(CURLOPT_AWS_SIGV4, ("aws:amz:" + place_.options.region + ":s3").c_str());
      set(CURLOPT_USERNAME, key->c_str());
      set(CURLOPT_PASSWORD, secret->c_str());
    }
    set(CURLOPT_HTTPHEADER, headers.list);
    if (!well) return Error{ErrorCode::exhausted, "no memory for a request", true};
    return Done{};
  }

  const Place& place_;
  CURL* easy_;
  std::string user_agent_ = std::string("ebb-pull/") + kVersion;
};

Error about(const std::string& what, const Error& error) {
  return Error{error.code, what + ": " + error.what, error.retryable};
}

class S3Reader final : public Reader {
 public:
  explicit S3Reader(const Place& place) : place_(place), connection_(place) {}

  Status read(const std::string& identity, const Object& object, std::uint64_t offset, std::uint64_t length, int to,
              const Stop& stop) override {
    Exchange exchange;
    exchange.url = place_.base + "/" + percent(place_.prefix + identity + "/" + object.name, true);
    exchange.range = std::to_string(offset) + "-" + std::to_string(offset + length - 1);
    exchange.if_match = "\"" + object.tag + "\"";
    exchange.to = to;
    exchange.at = offset;
    exchange.room = length;
    exchange.stop = &stop;
    const Status sent = connection_.send(exchange);
    if (!sent.ok()) return about(object.name, sent.error());
    const bool whole = offset == 0 && length == object.size;
    if (exchange.status() == 200 && !whole)
      return Error{ErrorCode::malformed, object.name + ": the store does not answer ranges", false};
    // Not every store knows If-Match.
    if (!exchange.etag.empty() && exchange.etag != object.tag)
      return Error{ErrorCode::conflict, object.name + ": the object has changed: its ETag is another one", true};
    if (exchange.got != length) return Error{ErrorCode::unreachable, object.name + ": the range came short", true};
    return Done{};
  }

 private:
  const Place& place_;
  S3Connection connection_;
};

class S3Store final : public Store {
 public:
  explicit S3Store(Place place) : place_(std::move(place)) {}

  Result<std::vector<Object>> list(const std::string& identity, const Stop& stop) override {
    S3Connection connection(place_);
    const std::string below = place_.prefix + identity + "/";
    std::vector<Object> objects;
    std::string token;
    do {
      Result<ListPage> page = list_page(connection, below, token, stop);
      if (!page.ok()) return about("cannot list " + this->place(identity), page.error());
      for (const ListedKey& key : page->keys) {
        if (Status taken = take(key, below, objects); !taken.ok()) return taken.error();
      }
      if (page->next == token && !token.empty())
        return Error{ErrorCode::malformed, "the store's listing goes round in circles", false};
      token = page->next;
    } while (!token.empty());
    if (objects.empty()) return Error{ErrorCode::not_found, "there is nothing in " + this->place(identity), true};
    std::sort(objects.begin(), objects.end(), [](const Object& a, const Object& b) { return a.name < b.name; });
    return objects;
  }

  std::unique_ptr<Reader> reader() override { return std::make_unique<S3Reader>(place_); }
  [[nodiscard]] std::string place(const std::string& identity) const override {
    return place_.options.url + (ends_with(place_.options.url, "/") ? "" : "/") + identity;
  }

 private:
  Result<ListPage> list_page(S3Connection& connection, const std::string& below, const std::string& token,
                             const Stop& stop) {
    Exchange exchange;
    exchange.url = place_.base + "/?" + (token.empty() ? "" : "continuation-token=" + percent(token, false) + "&") +
                   "list-type=2&max-keys=1000&prefix=" + percent(below, false);
    exchange.stop = &stop;
    const Status sent = connection.send(exchange);
    if (!sent.ok()) return sent.error();
    return list_page_from(exchange.text);
  }

  Status take(const ListedKey& key, const std::string& below, std::vector<Object>& objects) {
    if (!key.key.starts_with(below))
      return Error{ErrorCode::malformed, "the store lists keys that were not asked for", false};
    const std::string name = key.key.substr(below.size());
    // A key that is the directory itself: some tools make them.
    if (is_hidden(name) || ((name.empty() || ends_with(name, "/")) && key.size == 0)) return Done{};
    if (const std::string fault = name_fault(name); !fault.empty())
      return Error{ErrorCode::malformed, "the key '" + shim::printable(key.key) + "' " + fault, false};
    if (objects.size() >= kKeysMax)
      return Error{ErrorCode::malformed, "more than 100,000 files are no snapshot", false};
    objects.push_back({name, key.size, key.etag});
    return Done{};
  }

  Place place_;
};

Error wrong(const std::string& what) { return Error{ErrorCode::invalid, what, false}; }

/// "http://host:9000" and "bucket" become "http://bucket.host:9000".
std::string with_bucket_in_host(const std::string& endpoint, const std::string& bucket) {
  const std::size_t host = endpoint.find("://") + 3;
  return endpoint.substr(0, host) + bucket + "." + endpoint.substr(host);
}

bool is_bucket(std::string_view name) {
  if (name.size() < 3 || name.size() > 63) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
  });
}

}  // namespace

Result<std::unique_ptr<Store>> open_s3_store(const StoreOptions& options) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  const std::string_view rest = std::string_view(options.url).substr(5);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string bucket(rest.substr(0, slash));
  if (!is_bucket(bucket)) return wrong("--store: '" + bucket + "' is no bucket's name");
  Place place;
  place.prefix = std::string(rest.substr(std::min(slash + 1, rest.size())));
  while (ends_with(place.prefix, "/")) place.prefix.pop_back();
  if (!place.prefix.empty() && !name_fault(place.prefix).empty())
    return wrong("--store: the prefix " + name_fault(place.prefix));
  if (!place.prefix.empty()) place.prefix += '/';
  std::string endpoint =
      options.endpoint.empty() ? "https://s3." + options.region + ".amazonaws.com" : options.endpoint;
  while (ends_with(endpoint, "/")) endpoint.pop_back();
  const std::size_t scheme = endpoint.find("://");
  const bool http = endpoint.starts_with("http://") || endpoint.starts_with("https://");
  if (!http || endpoint.find_first_of("/?#@ ", scheme + 3) != std::string::npos)
    return wrong("--endpoint takes http(s)://HOST[:PORT], not '" + options.endpoint + "'");
  if (options.access_key_id.empty() != options.secret_access_key.empty())
    return wrong("--access-key-id and --secret-access-key belong together");
  place.base = options.path_style ? endpoint + "/" + bucket : with_bucket_in_host(endpoint, bucket);
  place.options = options;
  return std::unique_ptr<Store>(std::make_unique<S3Store>(std::move(place)));
}

}  // namespace ebb::pull
