#include "config/report.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace ebb {
namespace {

constexpr std::size_t kMostProblems = 1'000;
// Ten thousand replicas by name and a few thousand deployments. An alias costs a word to write, and nested ones would
// make a small file ask for all the memory there is.
constexpr std::size_t kMostElements = 50'000;

/// "a[0].b" -> "a[0]" -> "a" -> nothing; false at the end.
bool outwards(std::string& path) {
  const std::size_t cut = path.find_last_of(".[");
  if (cut == std::string::npos) return false;
  path.resize(cut);
  return true;
}

}  // namespace

Place Report::place_of(const std::string& path) const {
  std::string around = path;
  do {
    if (const auto found = places_.find(around); found != places_.end()) return found->second;
  } while (outwards(around));
  return {1, 1};
}

void Report::add(Place place, std::string message) {
  if (problems_.size() >= kMostProblems) {
    ++unsaid_;
    return;
  }
  problems_.push_back({file_, place.line, place.column, std::move(message)});
}

void Report::broken(const std::string& path, Place place, std::string message) {
  broken_.insert(path);
  add(place, std::move(message));
}

bool Report::sound(std::initializer_list<std::string> paths) const {
  for (const std::string& path : paths) {
    std::string around = path;
    do {
      if (broken_.contains(around)) return false;
    } while (outwards(around));
  }
  return true;
}

bool Report::afford(std::size_t elements) {
  elements_ += std::min(elements, kMostElements + 1);
  return elements_ <= kMostElements;
}

std::vector<Problem> Report::problems() && {
  const auto key = [](const Problem& p) { return std::tie(p.line, p.column, p.message); };
  const auto place = [](const Problem& p) { return std::tie(p.line, p.column); };
  std::stable_sort(problems_.begin(), problems_.end(),
                   [&](const Problem& a, const Problem& b) { return place(a) < place(b); });
  // An alias is read wherever it stands, so what is wrong in it would be said as often.
  std::set<std::tuple<int, int, std::string>> said;
  std::erase_if(problems_, [&](const Problem& p) { return !said.insert(key(p)).second; });
  if (unsaid_ > 0) problems_.push_back({file_, 0, 0, "and " + std::to_string(unsaid_) + " more problems"});
  return std::move(problems_);
}

}  // namespace ebb
