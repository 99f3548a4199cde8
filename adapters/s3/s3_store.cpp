#include "adapters/s3/s3_store.hpp"

#include <algorithm>
#include <utility>

#include "adapters/http/auth.hpp"

namespace ebb {
namespace {

// SHA-256 of nothing: no request of ours has a body, and libcurl leaves the header to us.
constexpr const char* kNoBody = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
// One request; a store that stands still is asked anew within the deadline.
constexpr Duration kRequestMax{30'000};
constexpr Duration kPauseFirst{100};
constexpr Duration kPauseMax{5'000};
// 1,000 keys are below 1 MiB; keys may be 1,024 bytes, escaped.
constexpr std::size_t kListingMax = 16u << 20;
constexpr std::size_t kErrorMax = 64u << 10;
// A snapshot of a model with a trillion parameters has a few thousand files.
constexpr std::size_t kFilesMax = 100'000;

}  // namespace

struct S3Store::Call {
  std::string method = "GET";
  std::string url;
  std::string what;  ///< for people
  std::string range;
  std::size_t body_max = kErrorMax;
};

S3Store::S3Store(const std::string& store, S3Config config, HttpClient& http, Clock& clock)
    : place_(s3_place(store)), config_(std::move(config)), http_(http), clock_(clock) {}

std::string S3Store::shown(std::string_view key) const { return "s3://" + place_.bucket + "/" + std::string(key); }

awaitable<Result<HttpResponse>> S3Store::ask_once(const Call& call, TimePoint deadline) {
  HttpRequest request(call.url);
  request.method = call.method;
  request.timeout = std::min(kRequestMax, deadline - clock_.now());
  request.body_max = call.body_max;
  request.ca_file = config_.ca_file;
  if (!call.range.empty()) request.headers["Range"] = call.range;
  if (!config_.access_key_id.empty()) {
    Result<std::string> key = read_secret(config_.access_key_id);
    if (!key.ok()) co_return key.error();
    Result<std::string> secret = read_secret(config_.secret_access_key);
    if (!secret.ok()) co_return secret.error();
    request.basic_user = std::move(*key);
    request.basic_password = std::move(*secret);
    request.sigv4 = "aws:amz:" + config_.region + ":s3";
    request.headers["x-amz-content-sha256"] = kNoBody;
    if (!config_.session_token.empty()) {
      Result<std::string> token = read_secret(config_.session_token);
      if (!token.ok()) co_return token.error();
      request.session_token = std::move(*token);
    }
  }
  Result<HttpResponse> answer = co_await http_.send(std::move(request));
  if (!answer.ok()) {
    Error error = answer.error();
    error.what = call.what + ": " + error.what;
    co_return error;
  }
  if (answer->status >= 200 && answer->status < 300) co_return answer;
  co_return s3_error(config_, place_, call.what, *answer);
}

awaitable<Result<HttpResponse>> S3Store::ask(Call call, TimePoint deadline) {
  Duration pause = kPauseFirst;
  for (;;) {
    if (clock_.now() >= deadline) co_return Error{ErrorCode::timeout, call.what + ": no answer in time", true};
    Result<HttpResponse> answer = co_await ask_once(call, deadline);
    if (answer.ok() || !answer.error().retryable) co_return answer;
    const TimePoint next = clock_.now() + pause;
    // What was found out is worth more than "no answer in time".
    if (next >= deadline) co_return answer;
    co_await clock_.sleep_until(next);
    pause = std::min(pause * 2, kPauseMax);
  }
}

awaitable<Result<S3Listing>> S3Store::page(std::string prefix, std::string delimiter, std::string continuation,
                                           TimePoint deadline) {
  std::map<std::string, std::string> parameters;
  parameters["list-type"] = "2";
  parameters["prefix"] = prefix;
  if (!delimiter.empty()) parameters["delimiter"] = std::move(delimiter);
  if (!continuation.empty()) parameters["continuation-token"] = std::move(continuation);
  Call call;
  call.url = s3_url(config_, place_, "", parameters);
  call.what = "list " + shown(prefix);
  call.body_max = kListingMax;
  const std::string what = call.what;
  const Result<HttpResponse> answer = co_await ask(std::move(call), deadline);
  if (!answer.ok()) co_return answer.error();
  Result<S3Listing> listing = read_listing(answer->body);
  if (!listing.ok()) {
    Error error = listing.error();
    error.what = what + ": " + error.what;
    co_return error;
  }
  co_return listing;
}

awaitable<Result<std::vector<Identity>>> S3Store::identities(TimePoint deadline) {
  std::vector<Identity> out;
  std::string continuation;
  do {
    Result<S3Listing> listing = co_await page(place_.prefix, "/", continuation, deadline);
    if (!listing.ok()) co_return listing.error();
    for (const std::string& directory : listing->prefixes) {
      if (directory.size() <= place_.prefix.size() + 1 || !directory.starts_with(place_.prefix)) continue;
      const std::string name = directory.substr(place_.prefix.size(), directory.size() - place_.prefix.size() - 1);
      if (identity_fault(name).empty()) out.emplace_back(name);
    }
    continuation = std::move(listing->continuation);
  } while (!continuation.empty());
  std::sort(out.begin(), out.end());
  co_return out;
}

awaitable<Result<std::vector<StoredFile>>> S3Store::list(Identity identity, TimePoint deadline) {
  const std::string prefix = place_.prefix + identity.value + "/";
  std::vector<StoredFile> out;
  std::string continuation;
  do {
    Result<S3Listing> listing = co_await page(prefix, "", continuation, deadline);
    if (!listing.ok()) co_return listing.error();
    for (StoredFile& object : listing->objects) {
      // Consoles make an empty object with a slash at its end for a directory.
      if (!object.name.starts_with(prefix) || object.name.ends_with('/')) continue;
      object.name.erase(0, prefix.size());
      out.push_back(std::move(object));
    }
    if (out.size() > kFilesMax) {
      co_return Error{ErrorCode::malformed, shown(prefix) + " has more than 100,000 objects", false};
    }
    continuation = std::move(listing->continuation);
  } while (!continuation.empty());
  if (out.empty()) co_return Error{ErrorCode::not_found, "there is nothing at " + shown(prefix), false};
  std::sort(out.begin(), out.end(), [](const StoredFile& a, const StoredFile& b) { return a.name < b.name; });
  co_return out;
}

awaitable<Result<std::string>> S3Store::read(Identity identity, std::string file, std::int64_t offset,
                                             std::int64_t bytes, TimePoint deadline) {
  if (bytes <= 0) co_return std::string();
  const std::string key = place_.prefix + identity.value + "/" + file;
  Call call;
  call.url = s3_url(config_, place_, key, {});
  call.what = "read " + shown(key);
  call.range = "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + bytes - 1);
  call.body_max = static_cast<std::size_t>(bytes) + kErrorMax;
  const std::string what = call.what;
  Result<HttpResponse> answer = co_await ask(std::move(call), deadline);
  if (!answer.ok()) co_return answer.error();
  const bool part = answer->status == 206 || offset == 0;
  if (!part || answer->body.size() > static_cast<std::size_t>(bytes)) {
    co_return Error{ErrorCode::malformed, what + ": the store answered with other bytes than were asked for", false};
  }
  co_return std::move(answer->body);
}

awaitable<Status> S3Store::remove(Identity identity, TimePoint deadline) {
  const Result<std::vector<StoredFile>> files = co_await list(identity, deadline);
  if (!files.ok() && files.error().code == ErrorCode::not_found) co_return Done();
  if (!files.ok()) co_return files.error();
  // The index first: what has none is no snapshot to anybody, also where this breaks off.
  std::vector<std::string> names;
  for (const StoredFile& file : *files) names.push_back(file.name);
  std::stable_partition(names.begin(), names.end(),
                        [](const std::string& name) { return name.ends_with(".index.json"); });
  for (const std::string& name : names) {
    const std::string key = place_.prefix + identity.value + "/" + name;
    Call call;
    call.method = "DELETE";
    call.url = s3_url(config_, place_, key, {});
    call.what = "delete " + shown(key);
    const Result<HttpResponse> answer = co_await ask(std::move(call), deadline);
    if (!answer.ok() && answer.error().code != ErrorCode::not_found) co_return answer.error();
  }
  co_return Done();
}

}  // namespace ebb
