// The experts of `conformal`: ways from what is known now to the largest load of the horizon. They differ in where they
// start and in what a swing depends on.
#pragma once

#include <array>

namespace ebb {

/// `load`, or 0.25 replicas where it is less: below that swings and ratios do not shrink any further.
[[nodiscard]] double floored(double load);

/// What is known, when a prediction is made, of where the load goes from here.
struct Outlook {
  double location = 0;  ///< the largest load of the window, in replicas
  double climb = 0;     ///< by which the load rises within the horizon if it goes on as in the cells; 0: it falls
  double season = 0;    ///< log of the horizon's largest load over `location`, as usual at this time of day
};

struct Expert {
  enum class Start {
    location,
    climb,   ///< half of the climb of the last minutes goes on
    season,  ///< as far from `location` as it usually goes at this time of day
    nothing  ///< a level, which falls as fast as it rises: its scale is the mean of the largest loads
  };

  const char* name = "";
  Start start = Start::location;
  double gamma = 0;  ///< 0, 1/2 or 1: swings do not grow with the load, do as a count's, or with it

  [[nodiscard]] bool level() const { return start == Start::nothing; }
  /// From where its scores are counted, in replicas.
  [[nodiscard]] double base(const Outlook& outlook) const;
  /// location^gamma.
  [[nodiscard]] double grown(double location) const;
  /// Its scale before anything was seen of swings: a twentieth of the load, of a level all of it.
  [[nodiscard]] double first_scale(double load) const;
  /// With which its scale forgets.
  [[nodiscard]] double half_life_ms() const;
};

inline constexpr std::array kExperts{
    Expert{.name = "gamma 0", .gamma = 0},
    Expert{.name = "gamma 1/2", .gamma = 0.5},
    Expert{.name = "gamma 1", .gamma = 1},
    Expert{.name = "climb gamma 1/2", .start = Expert::Start::climb, .gamma = 0.5},
    Expert{.name = "climb gamma 1", .start = Expert::Start::climb, .gamma = 1},
    Expert{.name = "season gamma 1/2", .start = Expert::Start::season, .gamma = 0.5},
    Expert{.name = "season gamma 1", .start = Expert::Start::season, .gamma = 1},
    Expert{.name = "level", .start = Expert::Start::nothing},
};

}  // namespace ebb
