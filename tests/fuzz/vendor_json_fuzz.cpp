// Any bytes as an answer of a vendor's hot-load API: no crash, names that are unique, and texts that fit into a ledger.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string_view>

#include "adapters/coreweave/wire.hpp"
#include "adapters/exposition/utf8.hpp"
#include "adapters/fireworks/wire.hpp"

using namespace ebb;

namespace {

constexpr std::size_t kTextMost = 1'000;

void check_text(const std::string& text) {
  if (!exposition::valid_utf8(text) || text.size() > kTextMost || text.find('\n') != std::string::npos) std::abort();
}

/// An error needs a target to be matched with, and a load under way is never also done.
void check(const WeightsReport& report, std::set<ReplicaId>& names) {
  if (!names.insert(report.replica).second) std::abort();
  check_text(report.error);
  if (report.current && report.current->empty()) std::abort();
}

void fireworks_answers(std::string_view body) {
  const auto replicas = fireworks::replicas_from(body, "d", Identity("wanted"));
  std::set<ReplicaId> names;
  if (!replicas.ok()) check_text(replicas.error().what);
  for (std::size_t i = 0; replicas.ok() && i < replicas->size(); ++i) check((*replicas)[i].report, names);
  check_text(fireworks::condition_from(body, true, LoadTransitionMode::async).text);
  check_text(fireworks::condition_from(body, false, LoadTransitionMode::sync).text);
  for (const int status : {301, 400, 404, 425, 503}) check_text(fireworks::signal_error(status, body).what);
  (void)fireworks::refuses_reset(400, body);
}

void coreweave_answers(std::string_view body) {
  const auto one = coreweave::hot_load_from(body);
  check_text(one.ok() ? one->why : one.error().what);
  const auto loads = coreweave::hot_loads_from(body);
  if (!loads.ok()) check_text(loads.error().what);
  const auto replicas = coreweave::replicas_from(body);
  if (!replicas.ok()) check_text(replicas.error().what);
  const auto site = coreweave::deployment_from(body);
  check_text(site.ok() ? site->condition : site.error().what);
  for (const int status : {400, 409, 501, 503}) check_text(coreweave::failure_from(status, body).error.what);
  if (!replicas.ok()) return;
  for (const bool overdue : {false, true}) {
    coreweave::HotLoadSeen load;
    load.identity = Identity("a");
    if (loads.ok() && !loads->items.empty()) load = loads->items.front();
    std::set<ReplicaId> names;
    for (const WeightsReport& report : coreweave::reports_of(replicas->items, load, "d", overdue)) check(report, names);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  fireworks_answers(body);
  coreweave_answers(body);
  return 0;
}
