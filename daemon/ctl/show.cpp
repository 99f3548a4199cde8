#include "daemon/ctl/show.hpp"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>

#include "daemon/ctl/table.hpp"
#include "daemon/model/time.hpp"

namespace ebb::ctl {
namespace {

using nlohmann::json;

std::string text(const json& object, const char* name) { return object.at(name).get<std::string>(); }
std::string count(const json& object, const char* name) { return std::to_string(object.at(name).get<std::int64_t>()); }

/// Whole seconds say enough; milliseconds make columns wide.
std::string moment(const json& object, const char* name) {
  if (object.at(name).is_null()) return "never";
  const std::string iso = text(object, name);
  return iso.size() == 24 ? iso.substr(0, 19) + "Z" : iso;
}

std::string span(const json& object, const char* name) {
  const auto seconds = static_cast<std::int64_t>(object.at(name).get<double>());
  std::string out = to_text(Duration{seconds * 1'000});
  // "3d4h" is read at a glance, "3d4h12m55s" is not.
  const auto cut = out.find_first_of("dhm");
  const auto second = cut == std::string::npos ? cut : out.find_first_of("dhms", cut + 1);
  return second == std::string::npos ? out : out.substr(0, second + 1);
}

Cell phase(const std::string& word) {
  if (word == "ready" || word == "serving") return {word, Colour::good};
  if (word == "unhealthy" || word == "lost" || word == "unknown") return {word, Colour::bad};
  return {word, Colour::warn};
}

/// At most three decimals, none where there are none.
std::string number(double value) {
  std::string out = fmt::format("{:.3f}", value);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out.pop_back();
  return out;
}

Cell in_flight(const json& deployment) {
  const json& signals = deployment.at("signals");
  const auto found = signals.find("in_flight");
  if (found == signals.end()) return {"-", Colour::quiet};
  const auto value = found->find("value");
  if (value == found->end()) return {"unknown", Colour::warn};
  return {number(value->get<double>())};
}

std::string changes(const json& decision) {
  std::string out;
  for (const json& action : decision.at("plan")) {
    out += (out.empty() ? "" : ", ") + text(action, "kind") + " " + std::to_string(action.at("replicas").size()) +
           " of " + text(action, "deployment");
  }
  return out.empty() ? "nothing to do" : out;
}

std::string alarms(const json& object) {
  std::string out;
  for (const json& alarm : object.at("alarms")) {
    const std::string subject = text(alarm, "subject");
    out += (out.empty() ? "" : ", ") + text(alarm, "rule") + (subject.empty() ? "" : " (" + subject + ")");
  }
  return harmless(out);
}

/// "problem: text" on lines of their own, when there is one.
std::string problem(const std::string& name, const std::string& what, bool colours) {
  return coloured(name, Colour::bad, colours) + "  " + harmless(what) + "\n";
}

}  // namespace

bool is_healthy(const json& status) {
  return status.at("ready").get<bool>() && status.at("ledger").at("ok").get<bool>() && status.at("alarms").empty();
}

std::string show_status(const json& status, bool colours) {
  const bool acts = text(status, "mode") == "act";
  const bool ready = status.at("ready").get<bool>();
  std::string out = coloured("ebbd " + harmless(text(status, "version")), Colour::bold, colours) + "  mode ";
  out += coloured(acts ? "act" : "advise (nothing is changed)", acts ? Colour::good : Colour::warn, colours) + "  ";
  out += coloured(ready ? "ready" : "not ready", ready ? Colour::good : Colour::bad, colours) + "\n";
  out += "tick " + count(status, "tick") + ", decided " + moment(status, "decided_at") + ", up " +
         span(status, "uptime_s") + ", config " + harmless(text(status, "config_hash")) + "\n";
  if (!ready) out += problem("not ready", text(status, "not_ready_why"), colours);
  if (!status.at("ledger").at("ok").get<bool>()) {
    out +=
        problem("ledger", text(status.at("ledger"), "problem") + "; RL can only shrink until it works again", colours);
  }
  if (!status.at("reload").at("ok").get<bool>()) {
    out += problem("config", text(status.at("reload"), "problems") + "; the old one stays in force", colours);
  }
  if (!status.at("alarms").empty()) out += problem("alarms", alarms(status), colours);
  if (status.at("overrides").get<int>() > 0)
    out += count(status, "overrides") + " overrides in force (ebbctl overrides)\n";
  Table table({"POOL", ">GPUS", ">PRODUCTION", ">RL", ">RESERVE", ">SLACK", ">UNUSABLE", ""}, colours);
  for (const auto& [name, pool] : status.at("pools").items()) {
    table.row({Cell(name), count(pool, "gpus"), count(pool, "production"), count(pool, "rl"), count(pool, "reserve"),
               count(pool, "slack"), count(pool, "unusable"),
               Cell(pool.at("blind").get<bool>() ? "blind" : "", Colour::warn)});
  }
  return out + "\n" + table.text("no decision yet");
}

std::string show_pools(const json& answer, bool colours) {
  Table table({"POOL", ">GPUS", ">PRODUCTION", ">RL", ">RESERVE", ">HEADROOM", ">SLACK", ">UNUSABLE", "ALLOCATION", ""},
              colours);
  for (const json& pool : answer.at("pools")) {
    table.row({text(pool, "name"), count(pool, "gpus"), count(pool, "production"), count(pool, "rl"),
               count(pool, "reserve"), count(pool, "headroom"), count(pool, "slack"), count(pool, "unusable"),
               text(pool, "allocation"), Cell(pool.at("blind").get<bool>() ? "blind" : "", Colour::warn)});
  }
  return table.text("no pools");
}

std::string show_services(const json& answer, bool colours) {
  Table table(
      {"DEPLOYMENT", "OWNER", ">IN FLIGHT", ">NEED", ">READY", ">STARTING", ">DRAINING", ">MIN", ">MAX", "MODEL"},
      colours);
  for (const json& service : answer.at("services")) {
    for (const json& d : service.at("deployments")) {
      const bool known = d.at("known").get<bool>();
      table.row({text(d, "id"), text(service, "owner"), in_flight(d),
                 Cell(count(d, "need") + (known ? "" : "?"), known ? Colour::none : Colour::warn), count(d, "ready"),
                 count(d, "starting"), count(d, "draining"), count(d, "min"), count(d, "max"), text(service, "model")});
    }
  }
  return table.text("no services");
}

std::string show_jobs(const json& answer, bool colours) {
  Table table(
      {"DEPLOYMENT", ">TARGET", ">READY", ">STARTING", ">DRAINING", ">MAX", ">WEIGHT", ">ROLLOUTS", "DEMAND", "MODEL"},
      colours);
  for (const json& job : answer.at("jobs")) {
    const json& demand = job.at("demand");
    std::string wanted = text(demand, "kind");
    for (const char* unit : {"replicas", "rollouts"}) {
      if (demand.contains(unit))
        wanted = number(demand.at(unit).get<double>()) + " " + unit + " until " + moment(demand, "expires_at");
    }
    const std::string admitted = job.at("admission").is_null() ? "-" : count(job, "admission");
    for (const json& d : job.at("deployments")) {
      table.row({text(d, "id"), count(d, "target"), count(d, "ready"), count(d, "starting"), count(d, "draining"),
                 count(d, "max"), number(job.at("weight").get<double>()), admitted, wanted, text(job, "model")});
    }
  }
  return table.text("no jobs");
}

std::string show_replicas(const json& answer, bool colours) {
  Table table({"REPLICA", "DEPLOYMENT", "ROLE", "PHASE", "LEASE", ">AGE", ">GPUS", "SLOTS", "ADDRESS", "DETAIL"},
              colours);
  for (const json& replica : answer.at("replicas")) {
    const json& lease = replica.at("lease");
    table.row({text(replica, "id"), text(replica, "deployment"), text(replica, "role"), phase(text(replica, "phase")),
               lease.is_null() ? Cell("-", Colour::quiet) : Cell(lease.get<std::string>()), span(replica, "age_s"),
               count(replica, "gpus"), text(replica, "slots"), text(replica, "address"), text(replica, "detail")});
  }
  return table.text("no replicas");
}

std::string show_overrides(const json& answer, bool colours) {
  Table table({"ID", "KIND", "TARGET", "ENDS IN", "OWNER", "REASON"}, colours);
  for (const json& override_ : answer.at("overrides")) {
    const std::string kind = text(override_, "kind");
    const std::string target = text(override_, "target");
    table.row({text(override_, "id"),
               Cell(kind == "pin" ? "pin at " + count(override_, "replicas") : kind, Colour::warn),
               target.empty() ? "everything" : target, span(override_, "expires_in_s"), text(override_, "owner"),
               text(override_, "reason")});
  }
  return table.text("no overrides");
}

std::string show_decisions(const json& answer, bool colours) {
  Table table({">TICK", "AT", "DECISION", "ALARMS"}, colours);
  for (const json& decision : answer.at("decisions")) {
    const bool changed = !decision.at("plan").empty();
    table.row({count(decision, "tick"), moment(decision, "at"),
               Cell(changes(decision), changed ? Colour::none : Colour::quiet), Cell(alarms(decision), Colour::bad)});
  }
  return table.text("no decisions");
}

std::string show_explanation(const json& answer, bool colours) {
  const json& decision = answer.at("decision");
  std::string out = coloured("tick " + count(answer, "tick"), Colour::bold, colours) + " at " + moment(answer, "at") +
                    ": " + harmless(changes(decision)) + "\n";
  std::string stage;
  for (const json& sentence : answer.at("sentences")) {
    if (text(sentence, "stage") != stage) {
      stage = text(sentence, "stage");
      out += "\n" + coloured(harmless(stage), Colour::bold, colours) + "\n";
    }
    out += "  " + harmless(text(sentence, "text")) + "\n";
  }
  if (!decision.at("alarms").empty()) out += "\n" + problem("alarms", alarms(decision), colours);
  return out;
}

}  // namespace ebb::ctl
