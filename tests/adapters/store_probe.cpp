// The stores and the verifier as the daemon has them, for scripts: one line of JSON about one call.
//
//   store-probe OPTIONS COMMAND ARGUMENT...
//     OPTIONS  {"store", "endpoint", "region", "path_style", "key", "secret", "token", "adapter", "deadline_ms"}
//     list ID | identities | read ID FILE OFFSET BYTES | remove ID | verify ID full | verify ID incremental PARENT
#include <boost/asio/io_context.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adapters/directory/directory_store.hpp"
#include "adapters/http/curl_client.hpp"
#include "adapters/s3/s3_store.hpp"
#include "daemon/model/json_text.hpp"
#include "daemon/ports/spawn.hpp"
#include "daemon/runtime/store_verifier.hpp"
#include "daemon/runtime/system_clock.hpp"

namespace ebb {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

json failed(const Error& error) { return {{"ok", false}, {"code", to_string(error.code)}, {"what", error.what}}; }

awaitable<json> verify(std::shared_ptr<SnapshotStore> store, bool adapter, Words words, Clock& clock,
                       TimePoint deadline) {
  Snapshot snapshot;
  snapshot.said.identity = Identity(words.at(1));
  std::optional<Snapshot> parent;
  if (words.at(2) == "incremental") {
    snapshot.said.kind = SnapshotKind::incremental;
    snapshot.said.parent = Identity(words.at(3));
    parent.emplace();
    parent->said.identity = snapshot.said.parent;
  }
  StoreVerifier verifier(std::move(store), adapter, clock);
  const Verdict verdict = co_await verifier.verify(std::move(snapshot), std::move(parent), deadline);
  static constexpr const char* kKinds[] = {"verified", "waiting", "malformed"};
  json out{{"ok", true}, {"reason", verdict.reason}, {"bytes", verdict.bytes}};
  out["kind"] = kKinds[static_cast<std::size_t>(verdict.kind)];
  co_return out;
}

awaitable<json> ask(std::shared_ptr<SnapshotStore> store, bool adapter, Words words, Clock& clock, TimePoint deadline) {
  const std::string command = words.at(0);
  json out{{"ok", true}};
  if (command == "verify") co_return co_await verify(std::move(store), adapter, std::move(words), clock, deadline);
  if (command == "identities") {
    const auto all = co_await store->identities(deadline);
    if (!all.ok()) co_return failed(all.error());
    for (const Identity& identity : *all) out["identities"].push_back(identity.value);
    co_return out;
  }
  Identity identity(words.at(1));
  if (command == "list") {
    const auto files = co_await store->list(std::move(identity), deadline);
    if (!files.ok()) co_return failed(files.error());
    out["files"] = json::object();
    for (const StoredFile& file : *files) out["files"][file.name] = file.size;
  } else if (command == "read") {
    const auto text = co_await store->read(std::move(identity), words.at(2), std::stoll(words.at(3)),
                                           std::stoll(words.at(4)), deadline);
    if (!text.ok()) co_return failed(text.error());
    out["text"] = *text;
  } else {
    const Status removed = co_await store->remove(std::move(identity), deadline);
    if (!removed.ok()) co_return failed(removed.error());
  }
  co_return out;
}

awaitable<void> main_of(json options, Words words, Clock& clock, HttpClient& http, boost::asio::io_context& io,
                        std::shared_ptr<SnapshotStore>& kept) {
  const std::string where = options.at("store");
  if (where.front() == '/') {
    kept = std::make_shared<DirectoryStore>(where);
  } else {
    S3Config s3;
    s3.endpoint = options.value("endpoint", "");
    s3.region = options.value("region", "us-east-1");
    s3.path_style = options.value("path_style", true);
    s3.access_key_id.where = options.value("key", "");
    s3.secret_access_key.where = options.value("secret", "");
    s3.session_token.where = options.value("token", "");
    kept = std::make_shared<S3Store>(where, s3, http, clock);
  }
  const TimePoint begun = clock.now();
  const TimePoint deadline = begun + Duration{options.value("deadline_ms", 20'000)};
  json out = co_await ask(kept, options.value("adapter", false), std::move(words), clock, deadline);
  out["ms"] = (clock.now() - begun).count();
  std::cout << json_text(out) << "\n";
  io.stop();  // the deadlines of what has ended would keep it running
}

}  // namespace
}  // namespace ebb

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: store-probe OPTIONS COMMAND ARGUMENT...\n";
    return 2;
  }
  boost::asio::io_context io;
  ebb::SystemClock clock(io.get_executor());
  ebb::CurlClient http;
  std::shared_ptr<ebb::SnapshotStore> kept;
  const ebb::Words words(argv + 2, argv + argc);
  ebb::spawn(io.get_executor(), ebb::main_of(nlohmann::json::parse(argv[1]), words, clock, http, io, kept));
  io.run();
  if (kept != nullptr) kept->close();
  return 0;
}
