// ebb-pull: brings snapshots from a store to a directory beside an engine.
#include <CLI/CLI.hpp>
#include <iostream>

#include "daemon/pull/run.hpp"
#include "daemon/runtime/logging.hpp"
#include "daemon/version.hpp"

namespace {

using namespace ebb::pull;

/// Every option is an environment variable too, for units and containers.
void add_options(CLI::App& app, Words& words) {
  app.add_option("--store", words.store, "s3://BUCKET/PREFIX or an absolute path; an identity is a directory below it")
      ->envname("EBB_PULL_STORE")
      ->required();
  app.add_option("--directory", words.directory, "where snapshots go: DIRECTORY/IDENTITY")
      ->envname("EBB_PULL_DIRECTORY")
      ->required();
  app.add_option("--endpoint", words.endpoint, "http(s)://HOST[:PORT] of an S3-compatible store; default: AWS")
      ->envname("EBB_PULL_ENDPOINT");
  app.add_option("--region", words.region, "of the store, for the signature")
      ->envname("EBB_PULL_REGION")
      ->capture_default_str();
  app.add_flag("--path-style", words.path_style, "the bucket is in the path, not in the host's name (MinIO, Ceph)")
      ->envname("EBB_PULL_PATH_STYLE");
  app.add_option("--access-key-id", words.access_key_id, "file:/PATH or env:NAME; without: unsigned requests")
      ->envname("EBB_PULL_ACCESS_KEY_ID");
  app.add_option("--secret-access-key", words.secret_access_key, "file:/PATH or env:NAME")
      ->envname("EBB_PULL_SECRET_ACCESS_KEY");
  app.add_option("--session-token", words.session_token, "file:/PATH or env:NAME")->envname("EBB_PULL_SESSION_TOKEN");
  app.add_option("--ca-file", words.ca_file, "certificates to trust, PEM")->envname("EBB_PULL_CA_FILE");
  app.add_option("--parallel", words.parallel, "requests at a time")
      ->envname("EBB_PULL_PARALLEL")
      ->capture_default_str();
  app.add_option("--part-size", words.part_size, "bytes of one request")
      ->envname("EBB_PULL_PART_SIZE")
      ->capture_default_str();
  app.add_option("--apply-threads", words.apply_threads, "threads that apply increments")
      ->envname("EBB_PULL_APPLY_THREADS")
      ->capture_default_str();
  app.add_option("--keep", words.keep, "complete snapshots on disk, beside what is being made")
      ->envname("EBB_PULL_KEEP")
      ->capture_default_str();
  app.add_option("--stall-timeout", words.stall_timeout, "slower than 10 KiB/s for so long is tried again")
      ->envname("EBB_PULL_STALL_TIMEOUT")
      ->capture_default_str();
  app.add_option("--timeout", words.timeout, "of one pull")->envname("EBB_PULL_TIMEOUT")->capture_default_str();
}

int refused(const ebb::Error& error) {
  std::cerr << "ebb-pull: " << error.what << "\n";
  return kUsage;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"ebb-pull: brings snapshots of weights from a store to a directory", "ebb-pull"};
  app.set_version_flag("--version", ebb::kVersion);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(
      "Exit status: 0 ready, 1 failed but may succeed when asked again, 2 an option is wrong or the directory or\n"
      "port is taken, 3 failed for good, 4 interrupted; what arrived stays for the next time.");
  Words words;
  add_options(app, words);

  auto* serve_command = app.add_subcommand("serve", "answer requests: PUT and GET /v1/snapshots/IDENTITY");
  serve_command->add_option("--listen", words.listen, "ADDRESS:PORT")
      ->envname("EBB_PULL_LISTEN")
      ->capture_default_str();
  serve_command->add_option("--token", words.token, "file:/PATH or env:NAME; beyond loopback it must be given")
      ->envname("EBB_PULL_TOKEN");

  std::string identity, onto;
  std::vector<std::string> names;
  auto* get_command = app.add_subcommand("get", "bring one snapshot, print its directory");
  get_command->add_option("identity", identity, "what is wanted")->required();
  get_command->add_option("--path,--chain", names, "the chain, oldest first: a full one and what is on top of it")
      ->delimiter(',');
  get_command->add_option("--onto", onto, "what the first of the chain stands on; it must be in the directory");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : kUsage;
  }
  ebb::start_logging(*get_command ? "warn" : "info");
  const ebb::Result<Options> options = options_from(words);
  if (!options.ok()) return refused(options.error());
  if (*serve_command) return serve(*options);
  const ebb::Result<Path> path = path_from_names(names, onto, identity);
  if (!path.ok()) return refused(path.error());
  return get(*options, *path);
}
