// Asks a shared object of the operator's (policies/plugin/ebb_plugin.h). `ebb-plugin-host` loads it in a process of its
// own, so that what crashes there is not the daemon. What it does with the answer, and without one, is in advised.hpp.
#pragma once

#include "policies/capacity/advised.hpp"

namespace ebb {

class PluginCapacity final : public Advised {
 public:
  PluginCapacity() : Advised(7'004) {}
  [[nodiscard]] std::string_view name() const override { return "plugin"; }
  void options(OptionVisitor& visitor) override {
    visitor.value({"path", "The shared object, an absolute path.", true}, path_);
    shared_options(visitor);
  }
  [[nodiscard]] std::vector<OptionProblem> problems() const override {
    std::vector<OptionProblem> out = Advised::problems();
    if (path_.empty() || path_.front() != '/') out.push_back({"path", "path must be an absolute path"});
    return out;
  }
  [[nodiscard]] std::optional<AdviserSpec> adviser() const override { return AdviserSpec{{}, path_, deadline()}; }

 private:
  std::string path_;
};

}  // namespace ebb
