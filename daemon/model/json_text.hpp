// JSON as text, for what is recorded, sent or answered.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ebb {

/// The document on one line, byte for byte what nlohmann's `dump` with `error_handler_t::replace` gives: words from
/// outside (an engine's error, a fleet's reason) may hold bytes that are no UTF-8, and none of them may stop a record
/// or an answer; they become U+FFFD.
std::string json_text(const nlohmann::json& value);

/// The same onto the end of `out`: for what is written part by part.
void append_json(std::string& out, const nlohmann::json& value);
/// These words as a JSON string onto the end of `out`.
void append_json_string(std::string& out, const std::string& words);

/// The same for people: a line for each field, two spaces a level.
std::string json_lines(const nlohmann::json& value);

}  // namespace ebb
