// Answers of the API as text. A missing field throws nlohmann's exception: the other side is not the ebbd we know.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ebb::ctl {

std::string show_status(const nlohmann::json& status, bool colours);
std::string show_pools(const nlohmann::json& answer, bool colours);
std::string show_services(const nlohmann::json& answer, bool colours);
std::string show_jobs(const nlohmann::json& answer, bool colours);
std::string show_replicas(const nlohmann::json& answer, bool colours);
std::string show_overrides(const nlohmann::json& answer, bool colours);
std::string show_decisions(const nlohmann::json& answer, bool colours);
/// Sentences, grouped by stage.
std::string show_explanation(const nlohmann::json& answer, bool colours);

/// Not ready, the ledger failed, or an alarm.
bool is_healthy(const nlohmann::json& status);

}  // namespace ebb::ctl
