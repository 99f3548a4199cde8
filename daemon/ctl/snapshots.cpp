#include "daemon/ctl/snapshots.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "daemon/ctl/table.hpp"
#include "daemon/model/json_text.hpp"

namespace ebb::ctl {
namespace {

using nlohmann::json;

constexpr int kBarWidth = 10;
// Short enough for a bar that moves, and for the client's own limit on an answer.
constexpr Duration kLook{1'000};

std::string text(const json& object, const char* name) {
  const json& value = object.at(name);
  return value.is_null() ? "-" : value.get<std::string>();
}

/// Whole seconds say enough.
std::string moment(const json& object, const char* name) {
  std::string iso = text(object, name);
  if (iso.size() == 24) iso.replace(19, std::string::npos, "Z");
  return iso;
}

Cell phase(const std::string& word) {
  if (word == "serving" || word == "reached") return {word, Colour::good};
  if (word == "failed" || word == "rejected" || word == "dropped" || word == "timeout" || word == "refused") {
    return {word, Colour::bad};
  }
  return {word, Colour::warn};
}

std::string size_text(std::int64_t bytes) {
  if (bytes == 0) return "-";
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; size >= 1'024 && unit + 1 < std::size(kUnits); ++unit) size /= 1'024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", size, kUnits[unit]);
}

/// Full once the replica has the snapshot, half-way while it loads it.
std::string bar(const json& replica, const std::string& identity) {
  const bool has = text(replica, "identity") == identity && text(replica, "phase") != "failed";
  const bool loads = text(replica, "phase") == "loading" && text(replica, "target") == identity;
  const int full = has ? kBarWidth : loads ? kBarWidth / 2 : 0;
  std::string out = "[";
  for (int i = 0; i < kBarWidth; ++i) out += i < full ? '#' : '.';
  return out + "]";
}

int fail(const Output& output, const Reply& reply) {
  output.err << "ebbctl: " << reply.problem << "\n";
  return reply.exit;
}

int not_understood(const Output& output, const json::exception& error) {
  output.err << "ebbctl: the answer is not understood (" << harmless(error.what())
             << "); are ebbctl and ebbd of the same version?\n";
  return kRefused;
}

/// Looks until the snapshot has ended or the time is over.
int wait_for(Client& client, const Output& output, const PublishOptions& options) {
  const std::string path = "/v1/jobs/" + percent_encoded(options.job) + "/snapshots/" +
                           percent_encoded(options.identity) + "?wait=serving&timeout=" + to_text(kLook);
  json now;
  for (auto left = options.timeout / kLook; left >= 0; --left) {
    const Reply reply = client.get(path);
    if (reply.exit != kOk) return fail(output, reply);
    now = reply.body;
    const bool moves = output.terminal && !output.json;
    if (moves) output.out << "\033[H\033[J" << show_progress(now, output.colours) << std::flush;
    if (!now.at("ended").get<bool>()) continue;
    if (output.json) output.out << json_lines(now) << "\n";
    if (!output.json && !moves) output.out << show_progress(now, output.colours);
    return text(now, "phase") == "serving" ? kOk : kRefused;
  }
  output.err << "ebbctl: " << harmless(options.identity) << " is still " << harmless(text(now, "phase")) << "\n";
  return kRefused;
}

}  // namespace

std::string show_snapshots(const json& answer, bool colours) {
  Table table({"IDENTITY", "RUN", ">STEP", "KIND", ">SIZE", "PHASE", "PUBLISHED", "REASON"}, colours);
  for (const json& one : answer.at("snapshots")) {
    table.row({text(one, "identity"), text(one, "run"), std::to_string(one.at("step").get<std::int64_t>()),
               text(one, "kind"), size_text(one.at("bytes").get<std::int64_t>()), phase(text(one, "phase")),
               moment(one, "published_at"), text(one, "reason")});
  }
  return table.text("no snapshots");
}

std::string show_prunable(const json& answer, bool) {
  std::string out;
  for (const json& one : answer.at("snapshots")) {
    if (one.at("prunable").get<bool>()) out += harmless(text(one, "identity")) + "\n";
  }
  return out;
}

std::string show_loads(const json& answer, bool colours) {
  Table table({"AT", "SNAPSHOT", "DEPLOYMENT", "REPLICA", "WHAT", "DETAIL"}, colours);
  for (const json& one : answer.at("loads")) {
    table.row({moment(one, "at"), text(one, "identity"), text(one, "deployment"), text(one, "replica"),
               phase(text(one, "what")), text(one, "detail")});
  }
  return table.text("no loads");
}

std::string show_progress(const json& answer, bool colours) {
  const std::string identity = text(answer, "identity");
  const std::string reason = text(answer, "reason");
  std::string out = harmless(identity) + "  " + harmless(text(answer, "kind")) + "  ";
  const Cell now = phase(text(answer, "phase"));
  out += coloured(now.text, now.colour, colours) + (reason.empty() ? "" : "  " + harmless(reason)) + "\n";
  Table table({"REPLICA", "", "PHASE", "HAS", ""}, colours);
  for (const json& replica : answer.at("replicas")) {
    table.row({text(replica, "replica"), bar(replica, identity), phase(text(replica, "phase")),
               text(replica, "identity"), text(replica, "error")});
  }
  return out + table.text("no replicas");
}

int publish_command(Client& client, const Output& output, const PublishOptions& options) {
  json body = json::object();
  body["identity"] = options.identity;
  body["kind"] = options.parent.empty() ? "full" : "incremental";
  if (!options.parent.empty()) body["previous_identity"] = options.parent;
  if (!options.run.empty()) body["run"] = options.run;
  if (options.step) body["step"] = *options.step;
  const Reply reply = client.send("POST", "/v1/jobs/" + percent_encoded(options.job) + "/snapshots", body);
  if (reply.exit != kOk) return fail(output, reply);
  try {
    if (options.wait) return wait_for(client, output, options);
    if (output.json) {
      output.out << json_lines(reply.body) << "\n";
    } else {
      output.out << harmless(text(reply.body, "identity")) << " is " << harmless(text(reply.body, "phase")) << "\n";
    }
    return kOk;
  } catch (const json::exception& error) {
    return not_understood(output, error);
  }
}

int reset_command(Client& client, const Output& output, const std::string& job) {
  const Reply reply = client.send("DELETE", "/v1/jobs/" + percent_encoded(job) + "/ledger", json());
  if (reply.exit != kOk) return fail(output, reply);
  json done = json::object();
  done["reset"] = job;
  output.out << (output.json ? json_lines(done)
                             : "the chain of " + harmless(job) + " is forgotten; the next snapshot must be full")
             << "\n";
  return kOk;
}

}  // namespace ebb::ctl
