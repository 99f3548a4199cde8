#include "config/describe.hpp"

#include <yaml-cpp/yaml.h>

#include <cstdint>

#include "config/options.hpp"
#include "config/text.hpp"

namespace ebb {
namespace {

class YamlPrinter final : public OptionVisitor {
 public:
  void value(const OptionInfo& info, bool& v) override { key(info) << (v ? "true" : "false"); }
  void value(const OptionInfo& info, int& v, Range<int>) override { key(info) << v; }
  void value(const OptionInfo& info, double& v, Range<double>) override { key(info) << shown(v); }
  void value(const OptionInfo& info, Duration& v, Range<Duration>) override { key(info) << to_text(v); }
  void value(const OptionInfo& info, std::string& v) override { key(info) << YAML::DoubleQuoted << v; }
  void value(const OptionInfo& info, std::vector<std::string>& v) override {
    key(info) << YAML::Flow << YAML::BeginSeq;
    for (const std::string& item : v) out_ << YAML::DoubleQuoted << item;
    out_ << YAML::EndSeq;
  }
  void value(const OptionInfo& info, std::map<std::string, std::string>& v) override {
    key(info) << YAML::Flow << YAML::BeginMap;
    for (const auto& [name, text] : v)
      out_ << YAML::Key << YAML::DoubleQuoted << name << YAML::Value << YAML::DoubleQuoted << text;
    out_ << YAML::EndMap;
  }
  void choice(const OptionInfo& info, int& index, std::span<const std::string_view> names) override {
    key(info) << std::string(names[static_cast<std::size_t>(index)]);
  }
  void object(const OptionInfo& info, const std::function<void(OptionVisitor&)>& fields) override {
    key(info) << YAML::BeginMap;
    fields(*this);
    out_ << YAML::EndMap;
  }
  void list(const OptionInfo& info, std::size_t size, const std::function<void(std::size_t)>&,
            const std::function<void(std::size_t, OptionVisitor&)>& element) override {
    key(info) << YAML::BeginSeq;
    for (std::size_t i = 0; i < size; ++i) {
      out_ << YAML::BeginMap;
      element(i, *this);
      out_ << YAML::EndMap;
    }
    out_ << YAML::EndSeq;
  }
  void selected(const OptionInfo& info, const std::string& name, std::span<const std::string_view>,
                const std::function<bool(const std::string&)>&,
                const std::function<void(OptionVisitor&)>& fields) override {
    key(info) << YAML::BeginMap << YAML::Key << "policy" << YAML::Value << name;
    fields(*this);
    out_ << YAML::EndMap;
  }
  void selection(const std::string& name, std::span<const std::string_view>,
                 const std::function<bool(const std::string&)>&,
                 const std::function<void(OptionVisitor&)>& fields) override {
    out_ << YAML::Key << "policy" << YAML::Value << name;
    fields(*this);
  }

  std::string print(Config& config) {
    out_ << YAML::BeginMap;
    options(config, *this);
    out_ << YAML::EndMap;
    return std::string(out_.c_str()) + "\n";
  }

 private:
  YAML::Emitter& key(const OptionInfo& info) { return out_ << YAML::Key << std::string(info.name) << YAML::Value; }
  YAML::Emitter out_;
};

}  // namespace

std::string describe(const Config& config) {
  Config copy = config;  // the visitor takes references that may write
  return YamlPrinter().print(copy);
}

std::string config_hash(const Config& config) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : describe(config)) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; hash >>= 4) text[i] = "0123456789abcdef"[hash & 15];
  return text;
}

}  // namespace ebb
