// ebb-plugin-host PATH: loads a capacity plugin and lets it answer the daemon's questions, line by line, so that what
// the plugin breaks is this process. Started by the daemon for the capacity policy `plugin`; ends with its input.
#include <dlfcn.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "adapters/advisor/protocol.hpp"
#include "policies/plugin/ebb_plugin.h"

namespace ebb::advisor {
namespace {

constexpr int kUnusable = 2;

struct Plugin {
  std::int32_t (*advise)(const ebb_question*, ebb_answer*) = nullptr;
};

Error unusable(std::string what) { return {ErrorCode::invalid, std::move(what), false}; }

template <class F>
F* symbol(void* library, const char* name) {
  return reinterpret_cast<F*>(::dlsym(library, name));
}

Result<Plugin> loaded(const char* path) {
  void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = ::dlerror();
    return unusable(std::string("cannot be loaded: ") + (why == nullptr ? path : why));
  }
  const auto abi = symbol<std::uint32_t()>(library, "ebb_plugin_abi");
  if (abi == nullptr) return unusable("is no plugin: it has no ebb_plugin_abi");
  if (const std::uint32_t version = abi(); version != EBB_PLUGIN_ABI) {
    return unusable("was built for plugin ABI " + std::to_string(version) + ", this Ebb has " +
                    std::to_string(EBB_PLUGIN_ABI));
  }
  Plugin plugin;
  plugin.advise = symbol<std::int32_t(const ebb_question*, ebb_answer*)>(library, "ebb_plugin_advise");
  if (plugin.advise == nullptr) return unusable("is no plugin: it has no ebb_plugin_advise");
  return plugin;
}

Result<Advice> asked(const Plugin& plugin, const AdviceQuestion& question) {
  std::vector<ebb_signal> signals;
  for (const auto& [name, seen] : question.signals) {
    ebb_signal signal{};
    signal.name = name.c_str();
    signal.known = seen.value.known() ? 1 : 0;
    signal.value = seen.value.known() ? seen.value.value() : 0;
    signal.has_at_least = seen.at_least ? 1 : 0;
    signal.at_least = seen.at_least.value_or(0);
    signals.push_back(signal);
  }
  ebb_question told{};
  told.deployment = question.deployment.value.c_str();
  told.at_ms = question.at.time_since_epoch().count();
  told.ready = question.ready.count;
  told.min = question.min.count;
  told.max = question.max.count;
  told.reported = question.reported;
  told.expected = question.expected;
  told.signal_count = signals.size();
  told.signals = signals.data();
  ebb_answer answer{};
  const std::int32_t status = plugin.advise(&told, &answer);
  std::string note(answer.note, ::strnlen(answer.note, EBB_PLUGIN_NOTE));
  if (status == 0) return Advice{answer.need, std::move(note)};
  return unusable(note.empty() ? "it returned " + std::to_string(status) : std::move(note));
}

/// Standard output as it was; what the plugin prints goes to the log instead.
std::FILE* answers() {
  const int kept = ::dup(STDOUT_FILENO);
  if (kept < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return nullptr;
  return ::fdopen(kept, "w");
}

bool print(std::FILE* out, const Answer& answer) {
  const std::string line = answer_line(answer);
  return std::fwrite(line.data(), 1, line.size(), out) == line.size() && std::fflush(out) == 0;
}

int serve(const char* path) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::FILE* out = answers();
  if (out == nullptr) return 1;
  const Result<Plugin> plugin = loaded(path);
  if (!plugin.ok()) {
    print(out, {0, Error{plugin.error().code, std::string(path) + " " + plugin.error().what, false}});
    return kUnusable;
  }
  std::string line;
  while (std::getline(std::cin, line)) {
    const Result<Question> question = question_from(line);
    if (!question.ok()) {
      print(out, {0, question.error()});
      return kUnusable;
    }
    if (!print(out, {question->seq, asked(*plugin, question->question)})) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace ebb::advisor

int main(int argc, char** argv) {
  if (argc == 2) return ebb::advisor::serve(argv[1]);
  std::cerr << "usage: ebb-plugin-host PATH    started by ebbd; see docs/policies.md, plugin\n";
  return 2;
}
