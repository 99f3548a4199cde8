#include "adapters/process/gpu.hpp"

#include <charconv>

#include "adapters/process/run_command.hpp"
#include "daemon/ports/spawn.hpp"

namespace ebb::process {
namespace {

constexpr Duration kTimeout{5'000};
// A driver keeps some hundred MiB for itself (contexts of displays and of monitoring); an engine takes tens of GiB.
constexpr long long kBusyMib = 1'024;
// nvidia-smi's codes for "the driver is not loaded" and "its library is not found": no driver, no memory in use.
constexpr int kNoDriver = 9;
constexpr int kNoLibrary = 12;

std::string trimmed(const std::string& text) {
  const std::size_t from = text.find_first_not_of(" \t\r");
  return from == std::string::npos ? "" : text.substr(from, text.find_last_not_of(" \t\r") + 1 - from);
}

std::vector<std::vector<std::string>> rows(const std::string& table) {
  std::vector<std::vector<std::string>> out;
  std::size_t from = 0;
  while (from < table.size()) {
    const std::size_t end = std::min(table.find('\n', from), table.size());
    std::vector<std::string> row(1);
    for (const char c : table.substr(from, end - from)) {
      if (c == ',') {
        row.emplace_back();
      } else {
        row.back() += c;
      }
    }
    for (std::string& cell : row) cell = trimmed(cell);
    if (row.size() > 1 || !row[0].empty()) out.push_back(std::move(row));
    from = end + 1;
  }
  return out;
}

struct Answer {
  std::vector<Gpu> gpus;
  std::string problem;
  bool absent = false;
};

Answer ask(const std::string& program) {
  Answer answer;
  const std::string format = "--format=csv,noheader,nounits";
  const Result<CommandOutput> table = run_command({program, "--query-gpu=index,uuid,memory.used", format}, kTimeout);
  if (!table.ok()) {
    answer.problem = table.error().what;
    return answer;
  }
  answer.absent = table->exit_code == kNoDriver || table->exit_code == kNoLibrary;
  const Result<CommandOutput> apps =
      answer.absent || table->exit_code != 0
          ? table
          : run_command({program, "--query-compute-apps=gpu_uuid,pid", format}, kTimeout);
  if (!apps.ok()) {
    answer.problem = apps.error().what;
  } else if (!answer.absent && apps->exit_code != 0) {
    answer.problem = "nvidia-smi exited with " + std::to_string(apps->exit_code);
  } else if (!answer.absent) {
    Result<std::vector<Gpu>> gpus = gpus_from(table->out, apps->out);
    answer.problem = gpus.ok() ? "" : gpus.error().what;
    if (gpus.ok()) answer.gpus = std::move(gpus).value();
  }
  return answer;
}

}  // namespace

Result<std::vector<Gpu>> gpus_from(const std::string& table, const std::string& apps) {
  std::vector<Gpu> gpus;
  for (const std::vector<std::string>& row : rows(table)) {
    if (row.size() != 3 || row[0].empty())
      return Error{ErrorCode::malformed, "nvidia-smi's GPU table cannot be read", true};
    Gpu gpu;
    gpu.index = row[0];
    gpu.uuid = row[1];
    // "[N/A]" where memory is shared with the host: then only the processes tell.
    const char* end = row[2].data() + row[2].size();
    if (std::from_chars(row[2].data(), end, gpu.memory_mib).ptr != end) gpu.memory_mib = 0;
    gpus.push_back(std::move(gpu));
  }
  for (const std::vector<std::string>& row : rows(apps)) {
    for (Gpu& gpu : gpus) {
      if (row.size() == 2 && row[0] == gpu.uuid) gpu.processes.push_back(row[1]);
    }
  }
  return gpus;
}

GpuUse use_of(const GpuSample& sample, const std::string& slot) {
  if (!sample.problem.empty()) return GpuUse::unknown;
  for (const Gpu& gpu : sample.gpus) {
    // CUDA takes a shortened UUID too, as long as it is unique.
    const bool named = slot.rfind("GPU-", 0) == 0 && gpu.uuid.rfind(slot, 0) == 0;
    if (gpu.index != slot && !named) continue;
    return gpu.processes.empty() && gpu.memory_mib < kBusyMib ? GpuUse::free : GpuUse::busy;
  }
  return GpuUse::free;
}

GpuWatch::GpuWatch(std::string program, Clock& clock, boost::asio::any_io_executor executor)
    : program_(std::move(program)), clock_(clock), executor_(std::move(executor)) {}

void GpuWatch::refresh(Duration max_age) {
  if (!active() || running_ || closed_) return;
  if (last_ && clock_.now() - last_->asked_at < max_age) return;
  running_ = true;
  spawn(executor_, run(shared_from_this()));
}

awaitable<void> GpuWatch::run(std::shared_ptr<GpuWatch> self) {
  GpuSample sample;
  sample.asked_at = self->clock_.now();
  auto work = [program = self->program_] { return ask(program); };
  Answer answer = co_await self->worker_.run(std::move(work));
  sample.gpus = std::move(answer.gpus);
  sample.problem = std::move(answer.problem);
  self->absent_ = answer.absent;
  self->last_ = std::move(sample);
  self->running_ = false;
}

GpuUse GpuWatch::use(const std::string& slot, TimePoint since) const {
  if (!active()) return GpuUse::free;
  if (!last_ || last_->asked_at < since) return GpuUse::unknown;
  return use_of(*last_, slot);
}

awaitable<void> GpuWatch::await_sample(TimePoint since, TimePoint until) {
  while (active() && !closed_ && (!last_ || last_->asked_at < since) && clock_.now() < until) {
    refresh(Duration{0});
    const TimePoint next = std::min(until, clock_.now() + Duration{20});
    co_await clock_.sleep_until(next);
  }
}

void GpuWatch::close() {
  closed_ = true;
  worker_.join();
}

}  // namespace ebb::process
