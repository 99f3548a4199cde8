// What is read from outside and what is started: URLs, queries, commands, and no secret among them.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include "config/text.hpp"
#include "config/validate.hpp"

namespace ebb {
namespace {

bool is_word_character(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  return out;
}

bool is_identifier(std::string_view text) {
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) == 0 &&
         std::all_of(text.begin(), text.end(), is_word_character);
}

/// PromQL without comments and without what stands in quotes.
std::string code_of(const std::string& query) {
  std::string out;
  char quote = 0;
  for (std::size_t i = 0; i < query.size(); ++i) {
    const char c = query[i];
    if (quote != 0) {
      if (c == '\\' && quote != '`') ++i;
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'' || c == '`') {
      quote = c;
    } else if (c == '#') {
      i = std::min(query.find('\n', i), query.size() - 1);
      out += ' ';
    } else {
      out += c;
    }
  }
  return lower(out);
}

/// From `from` on, the place after the word, or npos.
std::size_t after_word(const std::string& code, std::string_view word, std::size_t from) {
  for (std::size_t at = code.find(word, from); at != std::string::npos; at = code.find(word, at + 1)) {
    const auto part_of_name = [&](std::size_t i) {
      return i < code.size() && (is_word_character(code[i]) || code[i] == ':');
    };
    if ((at == 0 || !part_of_name(at - 1)) && !part_of_name(at + word.size())) return at + word.size();
  }
  return std::string::npos;
}

/// `x or vector(0)`, with or without `on()` between, in any case and spacing.
bool makes_a_number_of_nothing(const std::string& query) {
  const std::string code = code_of(query);
  const std::size_t either = after_word(code, "or", 0);
  return either != std::string::npos && after_word(code, "vector", either) != std::string::npos;
}

void check_query(const std::string& name, const std::string& query, const std::string& path, Report& report) {
  if (!is_identifier(name))
    report.add(path,
               "a query's name is made of letters, digits and _, and starts with a letter, got " + in_quotes(name));
  if (query.find_first_not_of(" \t\n") == std::string::npos) report.add(path, "the query is empty");
  if (makes_a_number_of_nothing(query)) {
    report.add(path,
               "'or vector(...)' makes a number out of no data, and production would look idle: absence is not zero");
  }
}

/// Names under which people keep secrets: HF_TOKEN, X-Api-Key, --api-key. Not: --max-tokens, TOKENIZERS_PARALLELISM.
bool names_a_secret(std::string_view name) {
  std::string word = lower(name);
  std::replace(word.begin(), word.end(), '-', '_');
  for (const char* end : {"token", "secret", "password", "passwd", "api_key", "apikey", "access_key", "secret_key",
                          "private_key", "authorization", "cookie", "credentials"}) {
    const std::string_view ending(end);
    const std::size_t at = word.size() - std::min(word.size(), ending.size());
    if (word.substr(at) == ending && (at == 0 || word[at - 1] == '_')) return true;
  }
  return false;
}

/// A switch is no secret: HF_HUB_DISABLE_IMPLICIT_TOKEN=1.
bool is_switch(std::string_view value) {
  const std::string word = lower(value);
  return word.empty() || word == "0" || word == "1" || word == "true" || word == "false" || word == "on" ||
         word == "off";
}

void check_prometheus(const SourceConfig& source, const std::string& path, Report& report) {
  if (report.sound({path + ".endpoint.url"})) {
    if (source.endpoint.url.empty()) {
      report.add(path + ".endpoint.url", "a prometheus source needs endpoint.url, such as http://127.0.0.1:9090");
    } else if (const auto fault = fault_of_url(source.endpoint.url)) {
      report.add(path + ".endpoint.url", *fault);
    }
  }
  if (!source.targets.empty()) report.add(path + ".targets", "targets belong to kind: scrape");
  if (!report.sound({path + ".queries"})) return;
  if (source.queries.empty()) report.add(path + ".queries", "a prometheus source needs at least one query");
  for (const auto& [name, query] : source.queries) check_query(name, query, path + ".queries." + name, report);
}

void check_scrape(const SourceConfig& source, const std::string& path, Report& report) {
  if (!source.queries.empty()) report.add(path + ".queries", "queries belong to kind: prometheus");
  if (!source.endpoint.url.empty())
    report.add(path + ".endpoint.url", "endpoint.url belongs to kind: prometheus; a scrape source has targets");
  if (source.path.empty() || source.path.front() != '/')
    report.add(path + ".path", "path must start with /, got " + in_quotes(source.path));
  for (const std::string& target : source.targets) {
    if (const auto fault = fault_of_url(target)) report.add(path + ".targets", *fault);
  }
}

/// The words in braces that are not placeholders. JSON in an argument has quotes after its brace, and is left alone.
void check_placeholders(const std::string& word, const std::string& model, const std::string& path, Report& report) {
  static const std::vector<std::string> kKnown{"port", "gpus", "deployment", "replica", "model"};
  for (std::size_t open = word.find('{'); open != std::string::npos; open = word.find('{', open + 1)) {
    const std::size_t close = word.find('}', open);
    if (close == std::string::npos) return;
    const std::string name = word.substr(open + 1, close - open - 1);
    if (name == "model" && model.empty())
      report.add(path, "the command uses {model}, but no model is named beside the deployments");
    if (!is_identifier(name) || std::find(kKnown.begin(), kKnown.end(), name) != kKnown.end()) continue;
    report.add(path, "there is no placeholder " + in_quotes("{" + name + "}") +
                         "; there are {port} {gpus} {deployment} {replica} {model}");
  }
}

void check_command(const std::vector<std::string>& command, const std::string& model, const std::string& path,
                   Report& report) {
  if (command.empty()) return report.add(path, "a process fleet needs the command that starts a replica");
  if (command.front().empty()) report.add(path, "the command's first word is the program, got ''");
  const auto has_port = [](const std::string& word) { return word.find("{port}") != std::string::npos; };
  if (std::none_of(command.begin(), command.end(), has_port)) {
    report.add(path, "the command must contain {port}: each replica listens on its own");
  }
  for (const std::string& word : command) {
    check_placeholders(word, model, path, report);
    const std::string flag = word.substr(0, word.find('='));
    if (flag.rfind("--", 0) != 0 || !names_a_secret(flag.substr(2))) continue;
    report.add(path, "a secret must not stand in the file (" + in_quotes(flag) +
                         "): set the engine's variable in ebbd's own environment, which its replicas inherit");
  }
}

}  // namespace

std::optional<std::string> fault_of_url(const std::string& url) {
  const std::size_t scheme = url.rfind("http://", 0) == 0 ? 7 : url.rfind("https://", 0) == 0 ? 8 : 0;
  if (url.find('@') != std::string::npos)
    return "a URL must not hold a user or password: give them as basic_user and basic_password";
  if (url.find_first_of("?#") != std::string::npos) return "a URL must end before any ? or #";
  const std::string got = ", got " + in_quotes(url);
  if (scheme == 0) return "a URL begins with http:// or https://" + got;
  const std::string authority = url.substr(scheme, url.find('/', scheme) - scheme);
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.rfind(':');
  const bool has_port = colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  const std::string host = has_port ? authority.substr(0, colon) : authority;
  const bool odd =
      std::any_of(url.begin(), url.end(), [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\\'; });
  if (host.empty() || odd || (bracket == std::string::npos && host.find(':') != std::string::npos)) {
    return "a URL is http(s)://host:port" + got;
  }
  if (!has_port) return std::nullopt;
  int port = 0;
  const auto [end, error] = std::from_chars(authority.data() + colon + 1, authority.data() + authority.size(), port);
  const bool whole = error == std::errc{} && end == authority.data() + authority.size();
  if (!whole || port < 1 || port > 65'535) return "a URL's port is a number between 1 and 65535" + got;
  return std::nullopt;
}

void check_endpoint(const EndpointConfig& endpoint, const std::string& path, Report& report) {
  check_secret(endpoint.bearer_token, path + ".bearer_token", report);
  check_secret(endpoint.basic_password, path + ".basic_password", report);
  if (!endpoint.basic_password.empty() && endpoint.basic_user.empty() && report.sound({path + ".basic_user"})) {
    report.add(path + ".basic_password", "basic_password needs a basic_user");
  }
  if (!endpoint.bearer_token.empty() && !endpoint.basic_user.empty()) {
    report.add(path + ".basic_user", "bearer_token and basic_user are two ways to log in: give one");
  }
  if (!endpoint.ca_file.empty() && endpoint.ca_file.front() != '/') {
    report.add(path + ".ca_file", "ca_file must be an absolute path, got " + in_quotes(endpoint.ca_file));
  }
  for (const auto& [name, value] : endpoint.headers) {
    const std::string here = path + ".headers." + name;
    constexpr std::string_view kSpecial = "!#$%&'*+-.^_`|~";
    const bool token = !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
      return is_word_character(c) || kSpecial.find(c) != std::string_view::npos;
    });
    if (!token || value.find('\n') != std::string::npos) {
      report.add(here, "a header is a name of letters, digits and '-' with a value on one line");
    } else if (names_a_secret(name)) {
      report.add(here, "a secret must not stand in the file: use bearer_token, or basic_user and basic_password");
    }
  }
}

void check_secret(const SecretRef& secret, const std::string& path, Report& report) {
  const std::string& where = secret.where;
  const bool file = where.rfind("file:/", 0) == 0 && where.size() > 6;
  const bool env = where.rfind("env:", 0) == 0 && is_identifier(std::string_view(where).substr(4));
  if (where.empty() || file || env || !report.sound({path})) return;
  report.add(path, "a secret is given as file:/absolute/path or env:NAME, never as it is");
}

void check_source(const SourceConfig& source, const std::string& path, Report& report) {
  if (!report.sound({path, path + ".kind"})) return;
  check_endpoint(source.endpoint, path + ".endpoint", report);
  if (source.kind == SourceKind::prometheus) return check_prometheus(source, path, report);
  check_scrape(source, path, report);
}

void check_start(const DeploymentConfig& deployment, const std::string& model, const std::string& path,
                 Report& report) {
  if (report.sound({path + ".command"})) check_command(deployment.command, model, path + ".command", report);
  for (const auto& [name, value] : deployment.environment) {
    const std::string here = path + ".environment." + name;
    if (!is_identifier(name))
      report.add(here, "a variable's name is made of letters, digits and _, got " + in_quotes(name));
    if (!names_a_secret(name) || is_switch(value)) continue;
    report.add(here, "a secret must not stand in the file: set " + in_quotes(name) +
                         " in ebbd's own environment, which its replicas inherit");
  }
  if (deployment.health_path.empty() || deployment.health_path.front() != '/') {
    report.add(path + ".health_path", "health_path must start with /, got " + in_quotes(deployment.health_path));
  }
}

}  // namespace ebb
