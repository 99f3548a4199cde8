#include "daemon/ctl/commands.hpp"

#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/ctl/show.hpp"
#include "daemon/ctl/table.hpp"
#include "daemon/model/json_text.hpp"

namespace ebb::ctl {
namespace {

using nlohmann::json;

int fail(const Output& output, const Reply& reply) {
  output.err << "ebbctl: " << reply.problem << "\n";
  return reply.exit;
}

std::string indented(const json& body) { return json_lines(body) + "\n"; }

/// Shows a good answer. An answer that lacks a field comes from a daemon of another version.
int shown(const Output& output, const json& body, Show show) {
  try {
    output.out << (output.json ? indented(body) : show(body, output.colours));
    return kOk;
  } catch (const json::exception& error) {
    output.err << "ebbctl: the answer is not understood (" << harmless(error.what())
               << "); are ebbctl and ebbd of the same version?\n";
    return kRefused;
  }
}

std::string user_name() {
  for (const char* name : {"USER", "LOGNAME", "SUDO_USER"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "";
}

std::string show_override(const json& body, bool) {
  const std::string target = body.at("target").get<std::string>();
  return harmless(body.at("kind").get<std::string>() + " of " + (target.empty() ? "everything" : target) + " until " +
                  body.at("expires_at").get<std::string>() + "; end it with: ebbctl overrides --end " +
                  body.at("id").get<std::string>()) +
         "\n";
}

std::string show_demand(const json& body, bool) {
  const char* unit = body.contains("replicas") ? "replicas" : "rollouts";
  return harmless("job " + body.at("job").get<std::string>() + " asks for " + json_text(body.at(unit)) + " " + unit +
                  " until " + body.at("expires_at").get<std::string>()) +
         "\n";
}

}  // namespace

int show_command(Client& client, const Output& output, const std::string& path, Show show) {
  const Reply reply = client.get(path);
  return reply.exit == kOk ? shown(output, reply.body, show) : fail(output, reply);
}

int status_command(Client& client, const Output& output) {
  const Reply reply = client.get("/v1/status");
  if (reply.exit != kOk) return fail(output, reply);
  const int exit = shown(output, reply.body, show_status);
  if (exit != kOk) return exit;
  try {
    return is_healthy(reply.body) ? kOk : kUnhealthy;
  } catch (const json::exception&) {
    return kUnhealthy;
  }
}

int override_command(Client& client, const Output& output, const OverrideOptions& options) {
  const std::string owner = options.owner.empty() ? user_name() : options.owner;
  if (owner.empty()) {
    output.err << "ebbctl: who asks? Neither --owner nor USER says\n";
    return kUsage;
  }
  json body = json::object();
  body["kind"] = options.kind;
  body["target"] = options.target;
  if (options.replicas) body["replicas"] = *options.replicas;
  body["reason"] = options.reason;
  body["owner"] = owner;
  body["ttl"] = options.ttl;
  const Reply reply = client.send("POST", "/v1/overrides", body);
  return reply.exit == kOk ? shown(output, reply.body, show_override) : fail(output, reply);
}

int end_command(Client& client, const Output& output, const std::string& id, const std::string& owner) {
  const std::string by = owner.empty() ? user_name() : owner;
  const std::string path = "/v1/overrides/" + percent_encoded(id) + (by.empty() ? "" : "?by=" + percent_encoded(by));
  const Reply reply = client.send("DELETE", path, json());
  if (reply.exit != kOk) return fail(output, reply);
  json ended = json::object();
  ended["ended"] = id;
  output.out << (output.json ? indented(ended) : "ended " + harmless(id) + "\n");
  return kOk;
}

int unfreeze_command(Client& client, const Output& output, const std::string& target, const std::string& owner) {
  const Reply reply = client.get("/v1/overrides");
  if (reply.exit != kOk) return fail(output, reply);
  std::vector<std::string> ids;
  try {
    for (const json& override_ : reply.body.at("overrides")) {
      const bool meant = target.empty() || override_.at("target") == target || override_.at("id") == target;
      if (override_.at("kind") == "freeze" && meant) ids.push_back(override_.at("id").get<std::string>());
    }
  } catch (const json::exception&) {
    output.err << "ebbctl: the answer is not understood; are ebbctl and ebbd of the same version?\n";
    return kRefused;
  }
  if (ids.empty()) {
    output.err << "ebbctl: " << (target.empty() ? "nothing" : "'" + harmless(target) + "'") << " is "
               << (target.empty() ? "frozen" : "not frozen") << "; ebbctl overrides shows what is in force\n";
    return kRefused;
  }
  for (const std::string& id : ids) {
    if (const int exit = end_command(client, output, id, owner); exit != kOk) return exit;
  }
  return kOk;
}

int demand_command(Client& client, const Output& output, const DemandOptions& options) {
  json body = json::object();
  if (options.replicas) body["replicas"] = *options.replicas;
  if (options.rollouts) body["rollouts"] = *options.rollouts;
  body["ttl"] = options.ttl;
  const Reply reply = client.send("PUT", "/v1/jobs/" + percent_encoded(options.job) + "/demand", body);
  return reply.exit == kOk ? shown(output, reply.body, show_demand) : fail(output, reply);
}

namespace {

struct Part {
  const char* name;
  const char* path;
  Show show;
};

constexpr std::array kTop{
    Part{"status", "/v1/status", show_status},
    Part{"services", "/v1/services", show_services},
    Part{"jobs", "/v1/jobs", show_jobs},
    Part{"explain", "/v1/explain", show_explanation},
};

/// One screen; the first part that fails ends it.
Reply look(Client& client, const Output& output) {
  Reply all;
  all.body = json::object();
  std::string text;
  for (const Part& part : kTop) {
    Reply reply = client.get(part.path);
    if (reply.exit != kOk) return reply;
    if (!output.json) text += (text.empty() ? "" : "\n") + part.show(reply.body, output.colours);
    all.body[part.name] = std::move(reply.body);
  }
  if (!output.json) all.body = text;
  return all;
}

}  // namespace

int top_command(Client& client, const Output& output, const TopOptions& options) {
  for (int round = 1;; ++round) {
    Reply reply;
    try {
      reply = look(client, output);
    } catch (const json::exception& error) {
      reply.exit = kRefused;
      reply.problem = "the answer is not understood (" + harmless(error.what()) + ")";
    }
    // Home, then text, then clear below: clearing first would flicker.
    if (output.terminal && !output.json) output.out << "\033[H";
    if (reply.exit != kOk) {
      // A live view outlives a restart of the daemon; without a terminal nobody is watching.
      if (!output.terminal || options.count > 0) return fail(output, reply);
      output.out << coloured(reply.problem, Colour::bad, output.colours) << "\n";
    } else {
      output.out << (output.json ? json_text(reply.body) + "\n" : reply.body.get<std::string>());
    }
    if (output.terminal && !output.json) output.out << "\033[J";
    output.out.flush();
    if (options.count > 0 && round >= options.count) return kOk;
    client.pause(options.interval);
  }
}

}  // namespace ebb::ctl
