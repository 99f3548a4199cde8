#include "tests/emulators/engine/weight_control.hpp"

#include <unistd.h>

#include <utility>

#include "tests/emulators/engine/snapshot_files.hpp"

namespace ebb::emulator {

namespace {

constexpr double kForever = 1e9;
constexpr double kFaultCheck = 0.01;

}  // namespace

WeightControl::WeightControl(asio::io_context& io, Engine& engine, const Faults& faults, WeightsConfig config,
                             std::string identity)
    : engine_(engine), faults_(faults), config_(std::move(config)), version_(identity), free_(io.get_executor()) {
  WeightsTag base;
  base.identity = std::move(identity);
  engine_.set_weights("", std::move(base));
}

awaitable<void> WeightControl::begin() {
  while (busy_) co_await free_.wait(kForever);
  busy_ = true;
  ++begun_;
}

void WeightControl::end() {
  busy_ = false;
  free_.notify();
}

awaitable<Status> WeightControl::take_time() {
  if (has(Fault::crash_on_update)) {
    if (!config_.crash) ::_exit(1);
    config_.crash();
    co_return Error{ErrorCode::internal, "crashed, as told", false};
  }
  while (has(Fault::update_hangs)) co_await pause(kFaultCheck);
  const auto slow = faults_.find(Fault::slow_update);
  co_await pause(config_.load_time_s + (slow == faults_.end() ? 0 : slow->second));
  if (has(Fault::update_fails)) co_return Error{ErrorCode::internal, "the update failed, as told", false};
  co_return Done();
}

awaitable<Status> WeightControl::load(std::string directory, std::optional<std::string> version) {
  co_await begin();
  Status done = co_await take_time();
  if (done.ok() && !has(Fault::update_lies)) {
    auto digest = digest_of_snapshot(directory);
    if (digest.ok()) {
      WeightsTag tag;
      tag.identity = version.value_or(base_name(directory));
      tag.digest = std::move(*digest);
      engine_.set_weights("", std::move(tag));
      model_path_ = directory;
      unnamed_ = !version;
      if (version) version_ = has(Fault::update_wrong_version) ? *version + "-other" : *version;
    } else {
      done = digest.error();
    }
  }
  end();
  co_return done;
}

void WeightControl::name(const std::string& version) {
  if (has(Fault::update_lies)) return;
  version_ = has(Fault::update_wrong_version) ? version + "-other" : version;
  if (!std::exchange(unnamed_, false)) return;
  WeightsTag tag = weights();
  tag.identity = version;
  engine_.set_weights("", std::move(tag));
}

awaitable<Status> WeightControl::load_adapter(std::string adapter, std::string directory) {
  co_await begin();
  Status done = co_await take_time();
  if (done.ok() && !has(Fault::update_lies)) {
    auto digest = digest_of_adapter(directory);
    if (digest.ok()) {
      WeightsTag tag;
      tag.identity = base_name(directory);
      tag.digest = std::move(*digest);
      engine_.set_weights(adapter, std::move(tag));
      adapters_[adapter] = has(Fault::update_wrong_version) ? directory + "-other" : directory;
    } else {
      done = digest.error();
    }
  }
  end();
  co_return done;
}

Status WeightControl::unload_adapter(const std::string& adapter) {
  if (adapters_.erase(adapter) == 0) return Error{ErrorCode::not_found, "no adapter '" + adapter + "'", false};
  engine_.drop_adapter(adapter);
  return Done();
}

}  // namespace ebb::emulator
