// From signals to load, the same for every policy that has signals:
//
//   load of a signal = value / target per replica x (1 + headroom)      in replicas, not rounded
//   load             = the largest of them
//
// A signal that is only partly known counts with what is known of it: the load is then a lower bound.
#pragma once

#include <string_view>
#include <vector>

#include "policies/policy.hpp"

namespace ebb {

struct SignalTarget {
  std::string signal = "in_flight";
  double target = 16;  ///< per replica, in the signal's unit
};
void options(SignalTarget& target, OptionVisitor& visitor);

/// One signal that says something.
struct SignalLoad {
  double replicas = 0;  ///< exact, never negative
  bool whole = true;    ///< false: only a part of it is known
  Explanation why;
};

struct Load {
  std::vector<SignalLoad> signals;        ///< in the order of the targets; what is Missing altogether is not among them
  double replicas = 0;                    ///< the largest
  bool known = true;                      ///< false: `replicas` is a lower bound
  TimePoint taken_at = TimePoint::max();  ///< of the oldest reading among them; max: there is none
};

Load load_of(const CapacityInput& input, const std::vector<SignalTarget>& targets, double headroom = 0);

/// The steps of all signals.
Explanation steps_of(const Load& load);

/// Whole replicas for an exact load.
Replicas whole_replicas(double exact);

/// The Horizontal Pod Autoscaler's need: the ceiling of each signal's load, or the ready replicas while the load is
/// within `tolerance` of what they should carry; the largest of them. Appends the signals' steps to `why`.
Replicas need_within_tolerance(const CapacityInput& input, const Load& load, double tolerance, Explanation& why);

/// The options that policies with signals share.
void signal_options(OptionVisitor& visitor, std::vector<SignalTarget>& targets);
void headroom_option(OptionVisitor& visitor, double& headroom);
/// Of what makes a load: memories of loads that were made otherwise are of other things. `also`: what else they are of.
double fingerprint(const std::vector<SignalTarget>& targets, std::string_view also = {});
std::vector<std::string> names_of(const std::vector<SignalTarget>& targets);
/// Without a signal nothing would be needed, ever.
std::vector<OptionProblem> missing_signals(bool none);

}  // namespace ebb
