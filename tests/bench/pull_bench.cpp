// How fast ebb-pull applies increments and downloads, and what bounds it.
//
//   pull_bench [DIRECTORY] [MiB]     default: /dev/shm, so that the page cache and not a disk is measured; 1024
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/pull/checksum.hpp"
#include "daemon/pull/puller.hpp"
#include "tests/bench/file_server.hpp"
#include "tests/pull/encoder.hpp"

extern char** environ;

namespace {

namespace fs = std::filesystem;
using namespace ebb;

constexpr int kShards = 16;
constexpr int kRounds = 5;
constexpr unsigned kParallel = 8;
constexpr double kApplyTarget = 1.5;     ///< GB/s of weights
constexpr double kDownloadTarget = 0.9;  ///< of curl

double seconds_of(const std::function<void()>& work) {
  const auto begun = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

void must(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error().what);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::uint64_t bytes_in(const std::string& directory, const char* end) {
  std::uint64_t sum = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file() && entry.path().string().ends_with(end)) sum += entry.file_size();
  }
  return sum;
}

pull::PathStep full() { return {"full", SnapshotKind::full, ""}; }
pull::PathStep increment(const char* name, const char* parent) { return {name, SnapshotKind::incremental, parent}; }

class Bench {
 public:
  Bench(std::string root, std::size_t mib)
      : root_(std::move(root)), store_(pull::open_directory_store(root_ + "/store")) {
    options_.transfer.parallel = kParallel;
    options_.keep = 8;
    std::mt19937_64 random(7);
    const auto base = test::random_shards(random, kShards, (mib << 20) / kShards);
    test::write_full(root_ + "/store/full", base, "000000");
    const auto one = test::mutated(base, random, 0.02, 1);
    test::write_increment(root_ + "/store/xor", base, one, {"xor", "xxh3-128", "000001", "000000"});
    test::write_increment(root_ + "/store/overwrite", base, one, {"overwrite", "xxh3-128", "000001", "000000"});
    test::write_increment(root_ + "/store/adler", base, one, {"xor", "adler32", "000001", "000000"});
    const auto two = test::mutated(one, random, 0.02, 1);
    test::write_increment(root_ + "/store/second", one, two, {"xor", "xxh3-128", "000002", "000001"});
    weights_ = bytes_in(root_ + "/store/full", ".safetensors");
  }

  /// One increment onto the full one that is there; everything counts, from the first look at the store to the marker.
  double apply(const char* what, const pull::Path& path, double target) {
    std::vector<double> took;
    for (int round = 0; round < kRounds; ++round) {
      fs::remove_all(root_ + "/local");
      auto shelf = pull::Shelf::open(root_ + "/local");
      if (!shelf.ok()) throw std::runtime_error(shelf.error().what);
      pull::Puller puller(**shelf, *store_, options_);
      pull::Progress progress;
      const pull::Stop stop;
      must(puller.pull({full()}, progress, stop));
      took.push_back(seconds_of([&] { must(puller.pull(path, progress, stop)); }));
    }
    const double rate = static_cast<double>(weights_) / median(took) / 1e9;
    const double percent = 100.0 *
                           static_cast<double>(bytes_in(root_ + "/store/" + path.back().identity, ".safetensors")) /
                           static_cast<double>(weights_);
    std::printf("apply %-34s %5.2f GB/s of weights (increment %4.1f %% of them)%s\n", what, rate, percent,
                target == 0      ? ""
                : rate >= target ? "  target 1.5: met"
                                 : "  target 1.5: MISSED");
    return rate;
  }

  /// What one core does of each step, on data that is not in its cache.
  void bounds() {
    const std::string payload = test::zstd_frame(std::string(64u << 20, '\0'));
    std::string big(std::size_t{256} << 20, 'a');
    std::string other(big.size(), 'b');
    const double copied = seconds_of([&] { std::memcpy(other.data(), big.data(), big.size()); });
    std::printf("bound memcpy, one core                  %5.2f GB/s\n", static_cast<double>(big.size()) / copied / 1e9);
    std::mt19937_64 random(7);
    const auto base = test::random_shards(random, 1, std::size_t{128} << 20);
    const auto after = test::mutated(base, random, 0.02, 1);
    const std::string& old = base.begin()->second.front().bytes;
    const std::string frame = test::zstd_frame(test::xor_diff(old, after.begin()->second.front().bytes));
    std::string out(old.size(), '\0');
    const double inflated =
        seconds_of([&] { (void)ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size()); });
    std::printf("bound zstd of the xor payload, one core %5.2f GB/s\n",
                static_cast<double>(out.size()) / inflated / 1e9);
    const double summed = seconds_of([&] {
      pull::Summer summer(pull::Checksum::xxh3_128);
      summer.add(std::as_bytes(std::span(big)));
      (void)summer.hex();
    });
    std::printf("bound xxh3-128, one core                %5.2f GB/s\n", static_cast<double>(big.size()) / summed / 1e9);
  }

  double download() {
    const bench::FileServer server(root_ + "/store");
    std::vector<double> ours, theirs;
    for (int round = 0; round < kRounds; ++round) {
      theirs.push_back(curl(server.url()));
      ours.push_back(ebb_pull(server.url()));
    }
    const double ratio = median(theirs) / median(ours);
    std::printf("download ebb-pull, %u at a time          %5.2f GB/s\n", kParallel,
                static_cast<double>(weights_) / median(ours) / 1e9);
    std::printf("download curl --parallel, %u at a time   %5.2f GB/s\n", kParallel,
                static_cast<double>(weights_) / median(theirs) / 1e9);
    std::printf("download ebb-pull / curl                %5.2f  target 0.9: %s\n", ratio,
                ratio >= kDownloadTarget ? "met" : "MISSED");
    return ratio;
  }

 private:
  double ebb_pull(const std::string& url) {
    fs::remove_all(root_ + "/local");
    pull::StoreOptions options;
    options.url = "s3://bucket";
    options.endpoint = url;
    options.path_style = true;
    auto store = pull::open_store(options);
    auto shelf = pull::Shelf::open(root_ + "/local");
    if (!store.ok() || !shelf.ok()) throw std::runtime_error("cannot open store or directory");
    pull::Puller puller(**shelf, **store, options_);
    pull::Progress progress;
    const pull::Stop stop;
    const double took = seconds_of([&] { must(puller.pull({full()}, progress, stop)); });
    shelf->reset();
    fs::remove_all(root_ + "/local");
    return took;
  }

  double curl(const std::string& url) {
    const std::string to = root_ + "/curl";
    fs::create_directories(to);
    std::vector<std::string> words{
        "curl",           "--no-progress-meter",    "--fail", "--parallel", "--parallel-immediate",
        "--parallel-max", std::to_string(kParallel)};
    for (const auto& entry : fs::directory_iterator(root_ + "/store/full")) {
      if (!entry.is_regular_file()) continue;
      const std::string name = entry.path().filename().string();
      for (const std::string& word : {std::string("-o"), to + "/" + name, url + "/full/" + name}) words.push_back(word);
    }
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    int status = 0;
    const double took = seconds_of([&] {
      pid_t child = 0;
      if (::posix_spawnp(&child, "curl", nullptr, nullptr, argv.data(), environ) != 0)
        throw std::runtime_error("no curl");
      ::waitpid(child, &status, 0);
    });
    if (status != 0) throw std::runtime_error("curl failed");
    fs::remove_all(to);
    return took;
  }

  std::string root_;
  std::unique_ptr<pull::Store> store_;
  pull::PullOptions options_;
  std::uint64_t weights_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string below = argc > 1 ? argv[1] : "/dev/shm";
  const std::size_t mib = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1024;
  std::string pattern = below + "/pull-bench-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) return std::perror("pull_bench"), 1;
  spdlog::set_level(spdlog::level::warn);
  bool met = false;
  try {
    std::printf(
        "%zu MiB of weights in %d shards below %s, 2 %% of the 16-bit values of every tensor changed, two threads\n",
        mib, kShards, below.c_str());
    Bench bench(pattern, mib);
    bench.bounds();
    const double by_xor = bench.apply("xor, xxh3-128", {increment("xor", "full")}, kApplyTarget);
    const double by_overwrite = bench.apply("overwrite, xxh3-128", {increment("overwrite", "full")}, kApplyTarget);
    bench.apply("xor, adler32", {increment("adler", "full")}, 0);
    bench.apply("two increments in one pass, xor", {increment("xor", "full"), increment("second", "xor")}, 0);
    const double ratio = bench.download();
    met = by_xor >= kApplyTarget && by_overwrite >= kApplyTarget && ratio >= kDownloadTarget;
  } catch (const std::exception& failure) {
    std::printf("pull_bench: %s\n", failure.what());
  }
  fs::remove_all(pattern);
  return met ? 0 : 1;
}
