// What trainers send, natively.
#include "daemon/api/bodies.hpp"
#include "daemon/api/fields.hpp"
#include "daemon/model/weights.hpp"

namespace ebb {
namespace {

constexpr std::size_t kFormatMax = 64;
constexpr int kStepMax = 2'000'000'000;

}  // namespace

Result<Publication> publication_from_body(const std::string& body) {
  Result<BodyFields> parsed = BodyFields::parse(body);
  if (!parsed.ok()) return parsed.error();
  BodyFields& fields = *parsed;
  for (const char* name : {"identity", "kind"}) fields.require(name);
  Publication said;
  said.identity = Identity(fields.text("identity", 1, 200).value_or(""));
  const std::string kind = fields.text("kind", 1, 32).value_or("full");
  if (kind != "full" && kind != "incremental") fields.fault("'kind' must be full or incremental");
  said.kind = kind == "incremental" ? SnapshotKind::incremental : SnapshotKind::full;
  said.parent = Identity(fields.text("previous_identity", 0, 200).value_or(""));
  said.run = fields.text("run", 0, kRunMax);
  if (const auto step = fields.integer("step", 0, kStepMax)) said.step = *step;
  said.reset_cache = fields.text("reset_prompt_cache", 1, 32);
  if (said.reset_cache && !reset_cache_from(*said.reset_cache)) {
    fields.fault("'reset_prompt_cache' must be all, new_session or none");
  }
  said.compression_format = fields.text("compression_format", 0, kFormatMax).value_or("");
  said.checksum_format = fields.text("checksum_format", 0, kFormatMax).value_or("");
  const Status status = fields.finish();
  if (!status.ok()) return status.error();
  return said;
}

Result<PlanWanted> plan_from_body(const std::string& body) {
  Result<BodyFields> parsed = BodyFields::parse(body.empty() ? "{}" : body);
  if (!parsed.ok()) return parsed.error();
  BodyFields& fields = *parsed;
  PlanWanted wanted;
  wanted.run = fields.text("run", 0, kRunMax).value_or("");
  if (const auto step = fields.integer("step", 0, kStepMax)) wanted.step = *step;
  const Status status = fields.finish();
  if (!status.ok()) return status.error();
  return wanted;
}

}  // namespace ebb
