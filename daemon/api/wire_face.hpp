// The words of Fireworks' hot-load API: a trainer written against it drives a fleet of ours unchanged.
#pragma once

#include <map>
#include <string>

#include "daemon/api/http.hpp"
#include "daemon/model/result.hpp"
#include "daemon/model/snapshot.hpp"

namespace ebb {

/// The body of POST /hot_load/v1/models/hot_load, as strict as theirs. Errors are `invalid`, in their words for a
/// field that is not known.
Result<Publication> publication_from_wire(const std::string& body);

/// The job that a request is about: {job} of the path, or the last segment of the header fireworks-deployment. Empty:
/// none.
std::string job_asked(const std::map<std::string, std::string>& params, const Request& request);

bool is_wire_path(const std::string& path);
/// A problem as {"error": {...}}; other answers as they are.
Response as_wire(Response response);

}  // namespace ebb
