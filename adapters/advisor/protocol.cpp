#include "adapters/advisor/protocol.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "daemon/model/json.hpp"
#include "daemon/model/json_text.hpp"

namespace ebb::advisor {
namespace {

using nlohmann::json;

constexpr double kMostReplicas = 100'000;  // as the configuration's bounds
constexpr std::size_t kMostQuoted = 60;

Error malformed(std::string what) { return {ErrorCode::malformed, std::move(what), false}; }

/// In one line, not longer than people read, and still UTF-8.
std::string tidied(std::string text, std::size_t most) {
  if (text.size() > most) {
    std::size_t end = most;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    text.resize(end);
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return text;
}

std::string line_of(const json& value) { return json_text(value) + "\n"; }

/// An object of our version, or what is wrong with the line.
Result<json> line_from(std::string_view line) {
  json out = json::parse(line, nullptr, false);
  if (!out.is_object()) {
    std::string start(line.substr(0, kMostQuoted));
    for (char& c : start) {
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E) c = '?';
    }
    return malformed("printed '" + start + "', which is no JSON object");
  }
  const auto version = out.find("version");
  if (version == out.end() || !version->is_number_integer()) return malformed("printed a line without its version");
  if (*version != kProtocolVersion) {
    return malformed("speaks version " + version->dump() + " of the protocol, not " + std::to_string(kProtocolVersion));
  }
  const auto seq = out.find("seq");
  if (seq == out.end() || !seq->is_number_unsigned()) return malformed("printed a line without the question's seq");
  return out;
}

Result<Advice> advice_of(const json& answer) {
  if (const auto error = answer.find("error"); error != answer.end()) {
    const std::string why = error->is_string() ? tidied(error->get<std::string>(), kMostNote) : "";
    return Error{ErrorCode::internal, why.empty() ? "it has none to give" : why, false};
  }
  const auto need = answer.find("need");
  if (need == answer.end() || !need->is_number()) return malformed("answered without a number 'need'");
  Advice advice;
  advice.need = need->get<double>();
  if (!std::isfinite(advice.need) || advice.need < 0 || advice.need > kMostReplicas) {
    return malformed("answered a need of " + need->dump() + " replicas");
  }
  if (const auto note = answer.find("note"); note != answer.end() && note->is_string()) {
    advice.note = tidied(note->get<std::string>(), kMostNote);
  }
  return advice;
}

/// The number a question has; nothing when it is not there.
std::optional<int> count_of(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  const auto count = found->get<std::int64_t>();
  if (count < 0 || count > INT32_MAX) return std::nullopt;
  return static_cast<int>(count);
}

}  // namespace

std::string question_line(std::uint64_t seq, const AdviceQuestion& question) {
  json out = json::object();
  out["version"] = kProtocolVersion;
  out["seq"] = seq;
  out["deployment"] = question.deployment.value;
  out["at"] = to_iso(question.at);
  out["ready"] = question.ready.count;
  out["min"] = question.min.count;
  out["max"] = question.max.count;
  out["reported"] = question.reported;
  out["expected"] = question.expected;
  out["signals"] = json::object();
  for (const auto& [name, signal] : question.signals) out["signals"][name] = to_json(signal);
  return line_of(out);
}

std::string answer_line(const Answer& answer) {
  json out = json::object();
  out["version"] = kProtocolVersion;
  out["seq"] = answer.seq;
  if (answer.advice.ok()) {
    out["need"] = answer.advice->need;  // NaN becomes null, which is no number over there either
    out["note"] = answer.advice->note;
  } else {
    out["error"] = answer.advice.error().what;
  }
  return line_of(out);
}

Result<Answer> answer_from(std::string_view line) {
  const Result<json> answer = line_from(line);
  if (!answer.ok()) return answer.error();
  return Answer{answer->at("seq").get<std::uint64_t>(), advice_of(*answer)};
}

Result<Question> question_from(std::string_view line) {
  const Result<json> asked = line_from(line);
  if (!asked.ok()) return asked.error();
  Question out;
  out.seq = asked->at("seq").get<std::uint64_t>();
  AdviceQuestion& question = out.question;
  const auto deployment = asked->find("deployment");
  const auto at = asked->find("at");
  const auto signals = asked->find("signals");
  if (deployment == asked->end() || !deployment->is_string()) return malformed("a question without its deployment");
  question.deployment = DeploymentId(deployment->get<std::string>());
  const auto time = at != asked->end() && at->is_string() ? from_iso(at->get<std::string>()) : std::nullopt;
  if (!time) return malformed("a question without its time");
  question.at = *time;
  const auto ready = count_of(*asked, "ready"), min = count_of(*asked, "min"), max = count_of(*asked, "max");
  const auto reported = count_of(*asked, "reported"), expected = count_of(*asked, "expected");
  if (!ready || !min || !max || !reported || !expected) return malformed("a question without its counts");
  question.ready = {*ready};
  question.min = {*min};
  question.max = {*max};
  question.reported = *reported;
  question.expected = *expected;
  if (signals == asked->end() || !signals->is_object()) return malformed("a question without signals");
  for (const auto& [name, signal] : signals->items()) {
    Result<SignalSeen> seen = signal_from(signal);
    if (!seen.ok()) return seen.error();
    question.signals[name] = *std::move(seen);
  }
  return out;
}

}  // namespace ebb::advisor
