// An engine of its own and a client in one io_context, for tests over real sockets.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "tests/emulators/common/http_client.hpp"
#include "tests/emulators/common/tasks.hpp"
#include "tests/emulators/engine/service.hpp"

namespace ebb::emulator {

/// Runs a coroutine to its end, with everything else that lives in the context; fails when that takes too long.
inline void run_until_done(asio::io_context& io, awaitable<void> task, double limit_s = 20) {
  bool done = false;
  std::exception_ptr thrown;
  auto on_end = [&](std::exception_ptr error) {
    thrown = error;
    done = true;
    io.stop();
  };
  asio::co_spawn(io, std::move(task), std::move(on_end));
  io.restart();
  io.run_for(std::chrono::milliseconds(static_cast<int>(limit_s * 1000)));
  if (thrown) std::rethrow_exception(thrown);
  ASSERT_TRUE(done) << "not done within " << limit_s << " s";
}

/// A fast engine on a free port.
inline ServiceConfig fast_config() {
  ServiceConfig config;
  config.port = 0;
  config.model = "m";
  config.weights = "w";
  config.scheduler.prefill_tokens_per_s = 100'000;
  config.scheduler.decode_tokens_per_s = 500;
  return config;
}

struct RunningEngine {
  RunningEngine(asio::io_context& io, ServiceConfig config) : service(io, std::move(config)) {
    const auto port = service.start();
    EXPECT_TRUE(port) << (port ? "" : port.error().what);
    at.host = "127.0.0.1";
    at.port = port ? *port : std::uint16_t{0};
  }
  EngineService service;
  HostPort at;
};

}  // namespace ebb::emulator
