// docs/configuration.md and the JSON Schema, from the option declarations.
#include <nlohmann/json.hpp>

#include "config/describe.hpp"
#include "config/options.hpp"
#include "config/text.hpp"
#include "policies/registry.hpp"

namespace ebb {
namespace {

using nlohmann::ordered_json;

std::string joined(std::span<const std::string_view> names, const char* between) {
  std::string out;
  for (const std::string_view name : names) out += (out.empty() ? "" : between) + std::string(name);
  return out;
}

/// One table row an option; nested options carry their path.
class Markdown final : public OptionVisitor {
 public:
  void value(const OptionInfo& i, bool& v) override { row(i, "true or false", v ? "true" : "false", ""); }
  void value(const OptionInfo& i, int& v, Range<int> r) override {
    row(i, "whole number", std::to_string(v), std::to_string(r.min) + " to " + std::to_string(r.max));
  }
  void value(const OptionInfo& i, double& v, Range<double> r) override {
    row(i, "number", shown(v), shown(r.min) + " to " + shown(r.max));
  }
  void value(const OptionInfo& i, Duration& v, Range<Duration> r) override {
    row(i, "duration", to_text(v), to_text(r.min) + " to " + to_text(r.max));
  }
  void value(const OptionInfo& i, std::string& v) override { row(i, "text", v, ""); }
  void value(const OptionInfo& i, std::vector<std::string>& v) override {
    std::string all;
    for (const std::string& item : v) all += (all.empty() ? "" : ", ") + item;
    row(i, "list of text", "[" + all + "]", "");
  }
  void value(const OptionInfo& i, std::map<std::string, std::string>&) override { row(i, "mapping of text", "{}", ""); }
  void choice(const OptionInfo& i, int& index, std::span<const std::string_view> names) override {
    row(i, "word", std::string(names[static_cast<std::size_t>(index)]), joined(names, ", "));
  }
  void object(const OptionInfo& i, const std::function<void(OptionVisitor&)>& fields) override {
    inside(i, "", "mapping", fields);
  }
  void list(const OptionInfo& i, std::size_t, const std::function<void(std::size_t)>& resize,
            const std::function<void(std::size_t, OptionVisitor&)>& element) override {
    resize(1);
    inside(i, "[]", "list of mappings", [&](OptionVisitor& v) { element(0, v); });
  }
  void selected(const OptionInfo& i, const std::string& name, std::span<const std::string_view> names,
                const std::function<bool(const std::string&)>& select,
                const std::function<void(OptionVisitor&)>& fields) override {
    row(i, "mapping", "{policy: " + name + "}", "");
    const std::string before = prefix_;
    prefix_ = before + std::string(i.name) + ".";
    row({"policy", "Name of the policy; its options stand beside it."}, "word", name, joined(names, ", "));
    for (const std::string_view policy : names) {
      if (!select(std::string(policy))) continue;
      prefix_ = before + std::string(i.name) + "{" + std::string(policy) + "}.";
      fields(*this);
    }
    (void)select(name);
    prefix_ = before;
  }
  /// Its policies' options stand once, where one is chosen alone.
  void selection(const std::string& name, std::span<const std::string_view> names,
                 const std::function<bool(const std::string&)>&, const std::function<void(OptionVisitor&)>&) override {
    row({"policy", "Name of the policy; its options, as above and below, stand beside it."}, "word", name,
        joined(names, ", "));
  }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void row(const OptionInfo& info, const std::string& type, const std::string& otherwise, const std::string& range) {
    const std::string shown_default = info.required ? "required" : otherwise.empty() ? "" : "`" + otherwise + "`";
    text_ += "| `" + prefix_ + std::string(info.name) + "` | " + type + " | " + shown_default + " | " + range + " | " +
             std::string(info.help) + " |\n";
  }
  void inside(const OptionInfo& info, const char* mark, const char* type,
              const std::function<void(OptionVisitor&)>& fields) {
    row(info, type, "", "");
    const std::string before = prefix_;
    prefix_ += std::string(info.name) + mark + ".";
    fields(*this);
    prefix_ = before;
  }
  std::string prefix_, text_;
};

/// The properties of one mapping.
class Schema final : public OptionVisitor {
 public:
  void value(const OptionInfo& i, bool& v) override { put(i, {{"type", "boolean"}, {"default", v}}); }
  void value(const OptionInfo& i, int& v, Range<int> r) override {
    put(i, {{"type", "integer"}, {"minimum", r.min}, {"maximum", r.max}, {"default", v}});
  }
  void value(const OptionInfo& i, double& v, Range<double> r) override {
    put(i, {{"type", "number"}, {"minimum", r.min}, {"maximum", r.max}, {"default", v}});
  }
  void value(const OptionInfo& i, Duration& v, Range<Duration>) override {
    put(i, {{"type", "string"}, {"pattern", "^(0|([0-9]+([.][0-9]+)?(ms|s|m|h|d))+)$"}, {"default", to_text(v)}});
  }
  void value(const OptionInfo& i, std::string& v) override { put(i, {{"type", "string"}, {"default", v}}); }
  void value(const OptionInfo& i, std::vector<std::string>& v) override {
    put(i, {{"type", "array"}, {"items", {{"type", "string"}}}, {"default", v}});
  }
  void value(const OptionInfo& i, std::map<std::string, std::string>&) override {
    put(i, {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}});
  }
  void choice(const OptionInfo& i, int& index, std::span<const std::string_view> names) override {
    put(i, {{"enum", std::vector<std::string>(names.begin(), names.end())},
            {"default", std::string(names[static_cast<std::size_t>(index)])}});
  }
  void object(const OptionInfo& i, const std::function<void(OptionVisitor&)>& fields) override {
    Schema inner;
    fields(inner);
    put(i, inner.mapping());
  }
  void list(const OptionInfo& i, std::size_t, const std::function<void(std::size_t)>& resize,
            const std::function<void(std::size_t, OptionVisitor&)>& element) override {
    resize(1);
    Schema inner;
    element(0, inner);
    put(i, {{"type", "array"}, {"items", inner.mapping()}});
  }
  void selected(const OptionInfo& i, const std::string& name, std::span<const std::string_view> names,
                const std::function<bool(const std::string&)>& select,
                const std::function<void(OptionVisitor&)>& fields) override {
    put(i, {{"oneOf", choices_of(name, names, select, fields)}});
  }
  void selection(const std::string& name, std::span<const std::string_view> names,
                 const std::function<bool(const std::string&)>& select,
                 const std::function<void(OptionVisitor&)>& fields) override {
    choices_ = choices_of(name, names, select, fields);
  }

  [[nodiscard]] ordered_json mapping() const {
    if (!choices_.empty()) return {{"oneOf", choices_}};
    ordered_json out = {{"type", "object"}, {"additionalProperties", false}, {"properties", properties_}};
    if (!required_.empty()) out["required"] = required_;
    return out;
  }

 private:
  /// One mapping a policy.
  static ordered_json choices_of(const std::string& name, std::span<const std::string_view> names,
                                 const std::function<bool(const std::string&)>& select,
                                 const std::function<void(OptionVisitor&)>& fields) {
    ordered_json choices = ordered_json::array();
    for (const std::string_view policy : names) {
      if (!select(std::string(policy))) continue;
      Schema inner;
      fields(inner);
      ordered_json mapping = inner.mapping();
      mapping["description"] = std::string(policy_help(policy));
      mapping["properties"]["policy"] = {{"const", std::string(policy)}};
      if (policy != name) mapping["required"] = {"policy"};
      choices.push_back(std::move(mapping));
    }
    (void)select(name);
    return choices;
  }
  void put(const OptionInfo& info, ordered_json schema) {
    ordered_json entry = {{"description", std::string(info.help)}};
    entry.update(schema);
    properties_[std::string(info.name)] = std::move(entry);
    if (info.required) required_.emplace_back(info.name);
  }
  ordered_json properties_ = ordered_json::object();
  ordered_json choices_ = ordered_json::array();
  std::vector<std::string> required_;
};

}  // namespace

std::string config_markdown() {
  Config config;
  Markdown rows;
  options(config, rows);
  return "# Configuration\n\n"
         "Generated from the option declarations by `ebb-config-docs`; do not edit. `config/examples/full.yaml` shows "
         "every "
         "option in place,\n`config/ebb.schema.json` is for editors, `ebbd check-config FILE` tells everything that is "
         "wrong with a file.\n\n"
         "Durations are a number and a unit (`250ms`, `90s`, `5m`, `1h30m`, `2d`). `x[].y` is `y` of each element of "
         "the list `x`;\n"
         "`x{p}.y` is the option `y` of policy `p`.\n\n"
         "| option | type | default | range | |\n|---|---|---|---|---|\n" +
         rows.text();
}

std::string config_schema() {
  Config config;
  Schema schema;
  options(config, schema);
  ordered_json out = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "Ebb configuration"}};
  out.update(schema.mapping());
  return out.dump(1) + "\n";
}

}  // namespace ebb
