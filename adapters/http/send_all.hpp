// Many things at once on the control thread.
#pragma once

#include <vector>

#include "daemon/ports/http_client.hpp"

namespace ebb {

/// Runs the tasks concurrently on the caller's executor and returns when the last one is done. There is no deadline
/// here: each request carries its own timeout. Tasks must not throw; what they refer to must outlive the io_context.
awaitable<void> run_all(std::vector<awaitable<void>> tasks);

/// The answers in the order of the requests.
awaitable<std::vector<Result<HttpResponse>>> send_all(HttpClient& client, std::vector<HttpRequest> requests);

}  // namespace ebb
