// ebb-pull-chain: writes a chain of snapshots for tests and benchmarks that drive the program from outside.
//
//   ebb-pull-chain DIR SEED INCREMENTS xor|overwrite SHARDS SHARD_BYTES VALUES
//
// DIR/store/full, DIR/store/inc1, ... and DIR/want/NAME with the shards that each of them must become.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "tests/pull/encoder.hpp"

namespace {

std::string version(int number) {
  char text[16];
  std::snprintf(text, sizeof text, "%06d", number);
  return text;
}

void write_wanted(const std::string& directory, const ebb::test::Shards& shards) {
  for (const auto& [file, tensors] : shards)
    ebb::test::write_file(directory + "/" + file, ebb::test::safetensors_text(tensors, {{"format", "pt"}}));
}

void write_chain(char** argv) {
  const std::string root = argv[1];
  std::mt19937_64 random(std::strtoull(argv[2], nullptr, 10));
  ebb::test::DeltaStyle style;
  style.encoding = argv[4];
  style.checksum = style.encoding == "xor" ? "xxh3-128" : "adler32";
  auto now = ebb::test::random_shards(random, std::atoi(argv[5]), std::strtoull(argv[6], nullptr, 10));
  ebb::test::write_full(root + "/store/full", now, version(0));
  write_wanted(root + "/want/full", now);
  for (int i = 1; i <= std::atoi(argv[3]); ++i) {
    const auto before = std::move(now);
    now = ebb::test::mutated(before, random, std::strtod(argv[7], nullptr), 1);
    style.version = version(i);
    style.base_version = version(i - 1);
    const std::string name = "inc" + std::to_string(i);
    ebb::test::write_increment(root + "/store/" + name, before, now, style);
    write_wanted(root + "/want/" + name, now);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    std::fputs("usage: ebb-pull-chain DIR SEED INCREMENTS xor|overwrite SHARDS SHARD_BYTES VALUES\n", stderr);
    return 2;
  }
  try {
    write_chain(argv);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "ebb-pull-chain: %s\n", failure.what());
    return 1;
  }
  return 0;
}
