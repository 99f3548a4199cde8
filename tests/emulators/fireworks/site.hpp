// One deployment of the stand-in Fireworks: its replicas, their weights, its ledger. Without I/O or timers: everything
// happens when somebody looks, by the time he brings.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/emulators/common/knobs.hpp"
#include "tests/emulators/common/vendor.hpp"

namespace ebb::emulator::fireworks {

/// All knobs with their defaults; what each does stands beside it.
nlohmann::json default_knobs();

/// {"error": {"message": ...}}
Said refusal(int status, const std::string& message);

/// What a replica is doing to its weights.
struct Load {
  std::string identity;
  std::string shows;  ///< reported afterwards
  double began = 0;
  double swap_at = 0;
  double done_at = 0;  ///< infinite: never
  std::string error;   ///< it ends with this one
  bool crashes = false;
};

struct Replica {
  std::string pod;
  double manager_at = 0;    ///< its hot-load manager answers from then on
  double catch_up_at = -1;  ///< negative: it does not do that by itself
  std::string current;      ///< empty: none yet
  std::vector<std::string> adapters;
  std::string failed;  ///< identity of the load that failed
  std::string error;
  std::optional<Load> load;
};

struct LedgerRow {
  std::string identity;
  std::string parent;  ///< empty: a full one
  double at = 0;
  std::map<std::string, double> ready_at;
  std::string error;
};

class Site {
 public:
  Site(std::string account, std::string id, nlohmann::json body, Knobs& knobs, const std::string& bucket);

  /// Everything that has happened by `now`.
  void advance(double now);

  [[nodiscard]] nlohmann::json status_page(double now) const;
  Said signal(const std::string& body, double now);
  [[nodiscard]] nlohmann::json ledger_page() const;
  void reset_ledger();

  /// The deployment as REST shows it.
  [[nodiscard]] nlohmann::json resource(double now) const;
  /// `mask`: names as in the body; nothing: every mutable field is replaced.
  Said patch(const nlohmann::json& body, const std::optional<std::vector<std::string>>& mask, double now);
  void scale(int replicas, double now);
  void set_deleted(bool deleted, double now);
  [[nodiscard]] bool deleted() const { return deleted_; }
  [[nodiscard]] const nlohmann::json& fields() const { return fields_; }
  [[nodiscard]] bool has_replicas() const { return !replicas_.empty(); }

  /// The weights that answer a request now; nothing: it must wait, since a replica swaps.
  [[nodiscard]] std::optional<std::string> serving(double now);
  [[nodiscard]] bool sync() const { return fields_.value("hotLoadTransitionType", "") == "SYNC"; }

  /// What no client should ever do, and how often signals were taken.
  [[nodiscard]] const std::vector<std::string>& faults() const { return faults_; }
  [[nodiscard]] const std::vector<nlohmann::json>& taken() const { return taken_; }
  [[nodiscard]] int crashes() const { return crashes_; }

 private:
  void finish(Replica& replica);
  void resize(double now);
  void roll(double now);
  Replica newcomer(double now);
  [[nodiscard]] nlohmann::json entry(const Replica& replica, double now) const;
  [[nodiscard]] nlohmann::json stage(const Replica& replica, double now, bool& ready) const;
  [[nodiscard]] std::string problem_of_body(const nlohmann::json& body) const;
  [[nodiscard]] std::string problem_of_reset(const nlohmann::json& value) const;
  [[nodiscard]] std::string problem_of_parent(const std::string& parent) const;
  [[nodiscard]] std::string missing_in_bucket(const std::string& identity) const;
  void note_faults(const std::string& identity, double now);
  void begin(const std::string& identity, const std::string& parent, double now);

  std::string account_, id_;
  nlohmann::json fields_;  ///< what a client may say
  Knobs& knobs_;
  const std::string& bucket_;  ///< directory; empty: files are not looked at
  std::vector<Replica> replicas_;
  std::vector<LedgerRow> ledger_;  ///< oldest first
  std::string head_;               ///< what newcomers catch up to
  bool needs_full_ = false;
  bool deleted_ = false;
  double sick_until_ = 0;
  int desired_ = 0;
  int pods_ = 0;
  int crashes_ = 0;
  std::size_t turn_ = 0;
  std::vector<std::string> faults_;
  std::vector<nlohmann::json> taken_;
};

}  // namespace ebb::emulator::fireworks
