#include "adapters/s3/protocol.hpp"

#include <charconv>
#include <utility>

#include "adapters/s3/xml.hpp"

namespace ebb {
namespace {

constexpr std::size_t kMessageMax = 200;

std::string host_of_aws(const std::string& region) {
  return "s3." + region + (region.rfind("cn-", 0) == 0 ? ".amazonaws.com.cn" : ".amazonaws.com");
}

Result<StoredFile> read_object(const XmlElement& object) {
  StoredFile out;
  const XmlElement* key = object.child("Key");
  const std::string size = object.text_of("Size");
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), out.size);
  if (key == nullptr || key->text.empty() || error != std::errc{} || end != size.data() + size.size() || out.size < 0) {
    return Error{ErrorCode::malformed, "a listed object has no key or no size", true};
  }
  out.name = key->text;
  return out;
}

/// One line, short, without what a terminal would obey.
std::string one_line(std::string text) {
  if (text.size() > kMessageMax) text.resize(kMessageMax);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) c = ' ';
  }
  return text;
}

struct Meaning {
  std::string_view code;  ///< as in <Code>
  ErrorCode as;
  bool retryable;
  std::string mend;
};

std::vector<Meaning> meanings(const S3Config& config, const S3Place& place) {
  const std::string key = config.access_key_id.where, secret = config.secret_access_key.where;
  const std::string rights =
      config.access_key_id.empty()
          ? "requests are not signed: set access_key_id and secret_access_key"
          : "the key in " + key + " needs s3:ListBucket and s3:GetObject there, s3:DeleteObject for prune_after";
  const std::string clock = "this host's clock is too far from the store's: set it (NTP)";
  const std::string region = "the store expects another region than " + config.region + ": set region";
  return {
      {"NoSuchKey", ErrorCode::not_found, false, "it is not there"},
      {"NoSuchBucket", ErrorCode::invalid, false, "there is no bucket " + place.bucket + ": mend store or endpoint"},
      {"AccessDenied", ErrorCode::denied, false, rights},
      {"AllAccessDisabled", ErrorCode::denied, false, rights},
      {"InvalidAccessKeyId", ErrorCode::denied, false, "the store does not know the key in " + key},
      {"SignatureDoesNotMatch", ErrorCode::denied, false,
       "the secret in " + secret + " is not that of the key in " + key},
      {"RequestTimeTooSkewed", ErrorCode::denied, true, clock},
      {"RequestExpired", ErrorCode::denied, true, clock},
      {"ExpiredToken", ErrorCode::denied, false, "the token in " + config.session_token.where + " has expired"},
      {"InvalidToken", ErrorCode::denied, false, "the token in " + config.session_token.where + " is not valid"},
      {"AuthorizationHeaderMalformed", ErrorCode::invalid, false, region},
      {"PermanentRedirect", ErrorCode::invalid, false, region},
      {"InvalidRange", ErrorCode::malformed, false, "it is shorter than it was"},
      {"SlowDown", ErrorCode::throttled, true, "asked too often"},
      {"ServiceUnavailable", ErrorCode::throttled, true, "it cannot answer now"},
      {"RequestTimeout", ErrorCode::timeout, true, "it waited for us in vain"},
  };
}

/// For answers without a code that is known, such as a proxy's.
Meaning meaning_of(int status) {
  if (status == 404) return {"", ErrorCode::not_found, false, "it is not there"};
  if (status == 401 || status == 403) return {"", ErrorCode::denied, false, "it may not be read with this key"};
  if (status == 408) return {"", ErrorCode::timeout, true, "it waited for us in vain"};
  if (status == 429 || status == 503) return {"", ErrorCode::throttled, true, "asked too often"};
  if (status >= 500) return {"", ErrorCode::internal, true, "the store failed"};
  return {"", ErrorCode::invalid, false, "this is no answer of an S3 store: mend endpoint or region"};
}

}  // namespace

S3Place s3_place(std::string_view store) {
  store.remove_prefix(std::string_view("s3://").size());
  const std::size_t slash = store.find('/');
  if (slash == std::string_view::npos) return {std::string(store), ""};
  return {std::string(store.substr(0, slash)), std::string(store.substr(slash + 1)) + "/"};
}

std::string percent_encoded(std::string_view text, bool keep_slashes) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slashes)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

std::string s3_url(const S3Config& config, const S3Place& place, std::string_view key,
                   const std::map<std::string, std::string>& parameters) {
  std::string url = config.endpoint.empty() ? "https://" + host_of_aws(config.region) : config.endpoint;
  while (url.ends_with('/')) url.pop_back();
  if (config.path_style) {
    url += "/" + place.bucket;
  } else {
    url.insert(url.find("//") + 2, place.bucket + ".");
  }
  url += "/" + percent_encoded(key, true);
  char before = '?';
  for (const auto& [name, value] : parameters) {
    url += before + percent_encoded(name, false) + "=" + percent_encoded(value, false);
    before = '&';
  }
  return url;
}

Result<S3Listing> read_listing(std::string_view body) {
  const Result<XmlElement> document = parse_xml(body);
  if (!document.ok()) return document.error();
  if (document->name != "ListBucketResult") {
    return Error{ErrorCode::malformed, "the answer is a " + one_line(document->name) + " and no ListBucketResult",
                 false};
  }
  S3Listing out;
  for (const XmlElement& one : document->children) {
    if (one.name == "Contents") {
      Result<StoredFile> object = read_object(one);
      if (!object.ok()) return object.error();
      out.objects.push_back(std::move(*object));
    } else if (one.name == "CommonPrefixes") {
      out.prefixes.push_back(one.text_of("Prefix"));
    }
  }
  if (document->text_of("IsTruncated") == "true") {
    out.continuation = document->text_of("NextContinuationToken");
    if (out.continuation.empty()) {
      return Error{ErrorCode::malformed, "there is more to list, but the store does not say how to go on", false};
    }
  }
  return out;
}

Error s3_error(const S3Config& config, const S3Place& place, const std::string& what, const HttpResponse& answer) {
  std::string code, message;
  if (const Result<XmlElement> document = parse_xml(answer.body); document.ok() && document->name == "Error") {
    code = one_line(document->text_of("Code"));
    message = one_line(document->text_of("Message"));
  }
  Meaning meaning = meaning_of(answer.status);
  bool known = false;
  for (Meaning& one : meanings(config, place)) {
    if (one.code != code) continue;
    meaning = std::move(one);
    known = true;
    break;
  }
  const std::string said = code.empty() ? "" : " " + code;
  std::string text = what + ": " + std::to_string(answer.status) + said + ": " + meaning.mend;
  if (!known && !message.empty()) text += " (" + message + ")";
  if (const auto region = answer.headers.find("x-amz-bucket-region");
      meaning.as == ErrorCode::invalid && region != answer.headers.end() && region->second != config.region) {
    text += " (its region is " + one_line(region->second) + ")";
  }
  return {meaning.as, std::move(text), meaning.retryable};
}

}  // namespace ebb
