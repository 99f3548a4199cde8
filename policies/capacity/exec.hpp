// Asks a program of the operator's, a child process that lives long: one JSON line in, one JSON line out
// (docs/policies.md). What it does with the answer, and without one, is in advised.hpp.
#pragma once

#include "policies/capacity/advised.hpp"

namespace ebb {

class ExecCapacity final : public Advised {
 public:
  ExecCapacity() : Advised(7'003) {}
  [[nodiscard]] std::string_view name() const override { return "exec"; }
  void options(OptionVisitor& visitor) override {
    visitor.value({"command", "Program and arguments; started once, and again with growing pauses when it ends.", true},
                  command_);
    shared_options(visitor);
  }
  [[nodiscard]] std::vector<OptionProblem> problems() const override {
    std::vector<OptionProblem> out = Advised::problems();
    if (command_.empty() || command_.front().empty()) out.push_back({"command", "name the program to ask"});
    return out;
  }
  [[nodiscard]] std::optional<AdviserSpec> adviser() const override { return AdviserSpec{command_, "", deadline()}; }

 private:
  std::vector<std::string> command_;
};

}  // namespace ebb
