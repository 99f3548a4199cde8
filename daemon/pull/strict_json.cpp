#include "daemon/pull/strict_json.hpp"

#include <set>
#include <stdexcept>
#include <vector>

#include "daemon/shim/files.hpp"

namespace ebb::pull {
namespace {

using nlohmann::json;

struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Refuses while parsing, before anything large has been built.
class Watch {
 public:
  explicit Watch(int depth_max) : depth_max_(depth_max) {}
  bool operator()(int depth, json::parse_event_t event, const json& value) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      if (depth >= depth_max_) throw Refused("it is nested too deep");
      keys_.resize(static_cast<std::size_t>(depth) + 1);
      keys_.back().clear();
    }
    if (event == json::parse_event_t::key &&
        !keys_.at(static_cast<std::size_t>(depth) - 1).insert(value.get<std::string>()).second)
      throw Refused("'" + shim::printable(value.get<std::string>().substr(0, 64)) + "' is given twice");
    return true;
  }

 private:
  int depth_max_;
  std::vector<std::set<std::string>> keys_;  ///< of each object that is open
};

}  // namespace

Result<json> parse_strictly(std::string_view text, int depth_max) {
  const auto invalid = [](std::string what) { return Error{ErrorCode::invalid, std::move(what), false}; };
  try {
    return json::parse(text.begin(), text.end(), Watch(depth_max));
  } catch (const Refused& refused) {
    return invalid(refused.what());
  } catch (const json::parse_error& error) {
    return invalid("not JSON in UTF-8: wrong at byte " + std::to_string(error.byte));
  } catch (const json::exception&) {
    return invalid("a number is too large");
  }
}

}  // namespace ebb::pull
