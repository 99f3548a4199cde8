// From a configuration to its adapters: with app.cpp the only place that knows concrete ones.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>

#include "config/config.hpp"
#include "daemon/ports/clock.hpp"
#include "daemon/ports/http_client.hpp"
#include "daemon/runtime/wiring.hpp"

namespace ebb {

/// What adapters are made from. All of it must outlive the io_context.
struct FactoryParts {
  boost::asio::any_io_executor executor;
  HttpClient& http;
  Clock& clock;
  std::string shim_path;         ///< of ebb-shim
  std::string plugin_host_path;  ///< of ebb-plugin-host
};

/// Fleets that `before` has too are kept and told of the new configuration, so that what they know of running replicas
/// is not lost, and so are advisers that are asked as before; sources are made anew.
std::shared_ptr<const Wiring> make_wiring(const Config& config, const Wiring* before, const FactoryParts& parts);

/// Ends the adapters' threads and the advisers; replicas live on. Before the io_context goes.
void close_wiring(const Wiring& wiring);

}  // namespace ebb
