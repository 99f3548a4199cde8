// CoreWeave's hot-load service as bodies. Source of the format: the vendor's reference of HotLoadService, v1alpha1;
// what it leaves open (words of states, the shape of errors) is read generously. No connection here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/model/result.hpp"
#include "daemon/model/weights.hpp"

namespace ebb::coreweave {

/// A valid UUID that follows from the order's job and id: the same order, the same hot-load.
std::string hot_load_id(const LoadOrder& order);

/// The body of a create. Errors are `invalid`: an order that this API cannot express.
Result<std::string> create_body(const LoadOrder& order, const std::string& deployment);

enum class Progress { running, completed, failed };

struct HotLoadSeen {
  std::string id;
  std::string deployment;
  Identity identity;
  bool full = true;
  Progress progress = Progress::running;  ///< unknown words count as running
  std::string why;                        ///< failed only
};

/// One hot-load. Errors are `malformed`.
Result<HotLoadSeen> hot_load_from(std::string_view body);

template <class T>
struct Page {
  std::vector<T> items;
  std::string next;  ///< token of the next page; empty: this is the last
};
/// Newest first. Errors are `malformed`.
Result<Page<HotLoadSeen>> hot_loads_from(std::string_view body);

struct Replica {
  std::string name;  ///< "zone/name"
  bool ready = false;
  std::string state;
  std::optional<Identity> current;
};
/// Errors are `malformed`.
Result<Page<Replica>> replicas_from(std::string_view body);

/// The replicas' reports while `load` is the deployment's newest hot-load. `overdue`: it completed so long ago that a
/// replica without its snapshot will not have it any more.
std::vector<WeightsReport> reports_of(const std::vector<Replica>& replicas, const HotLoadSeen& load,
                                      const std::string& deployment, bool overdue);

struct DeploymentSeen {
  bool ready = false;
  bool updating = false;
  std::string condition;  ///< empty: fine
};
/// Errors are `malformed`.
Result<DeploymentSeen> deployment_from(std::string_view body);

enum class Refusal {
  none,
  exists,  ///< the hot-load's id is taken
  locked,  ///< a precondition: the interlock, or a limit of the chain
};
/// An answer other than 2xx: the name or number of a gRPC code, in either shape, then the HTTP status.
struct Failure {
  Error error;
  Refusal refusal = Refusal::none;
};
Failure failure_from(int status, std::string_view body);

}  // namespace ebb::coreweave
