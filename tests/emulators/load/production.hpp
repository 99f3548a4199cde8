// Production's users: they come when they like, and what they get is what counts.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <string>

#include "tests/emulators/load/arrivals.hpp"
#include "tests/emulators/load/files.hpp"
#include "tests/emulators/load/report.hpp"
#include "tests/emulators/load/router.hpp"

namespace ebb::emulator {

struct OutputConfig {
  std::string summary;  ///< JSON, replaced every second; empty: none
  std::string series;   ///< JSON lines, one a second; empty: none
};

struct ProductionConfig {
  ArrivalConfig arrivals;
  DiscoveryConfig discovery;
  OutputConfig output;
  std::string model = "stand-in";
  bool chat = true;
  double prompt_tokens = 64;  ///< means; a trace scales them over the day
  double output_tokens = 40;
  double sigma = 0.3;  ///< of the logarithm of lengths
  int tokens_max = 512;
  double timeout_s = 30;  ///< from arrival to the last token
};

/// Open loop. Times of its report: TTFT and end-to-end count from the arrival, with queueing and retries inside.
class ProductionLoad {
 public:
  ProductionLoad(asio::io_context& io, ProductionConfig config, Day day);
  Status prepare();
  /// Sends the whole day, waits for the last answers, writes the last summary.
  awaitable<void> run();
  /// No more arrivals; what is under way is waited for.
  void stop();
  [[nodiscard]] const LoadReport& report() const { return report_; }
  [[nodiscard]] int in_flight() const { return in_flight_; }

 private:
  awaitable<void> user(CallSpec spec, double arrived);
  awaitable<void> write_reports();
  /// A replica to go to, waiting for one until `deadline`.
  awaitable<std::optional<HostPort>> wait_for_replica(double deadline);
  CallSpec next_call(double at);
  void note(const CallOutcome& outcome, double arrived);
  void write_summary(bool final);
  void write_second();

  asio::io_context& io_;
  ProductionConfig config_;
  Day day_;
  Arrivals arrivals_;
  Random random_;
  Router router_;
  Signal changed_;   ///< of the router's list
  Signal progress_;  ///< somebody finished, or we were told to stop
  Discovery discovery_;
  LineFile series_;
  LoadReport report_;
  double began_ = 0;  ///< monotonic, when the day begins
  int in_flight_ = 0;
  double in_flight_area_ = 0;  ///< integral since the last second's line, for its mean
  double area_since_ = 0;
  bool stopped_ = false;
  bool over_ = false;
  void count_in_flight(int change);
};

}  // namespace ebb::emulator
