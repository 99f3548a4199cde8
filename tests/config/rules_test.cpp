// What the rules let through, and what they leave unsaid: a refusal of a good file costs as much trust as a missed bad
// one.
#include <gtest/gtest.h>

#include <tuple>

#include "config/describe.hpp"
#include "config/load.hpp"

namespace ebb {
namespace {

std::string problems_of(const std::string& text) { return to_text(load_config_text(text, "x").problems); }

/// One pool, one fleet, and a service with this source.
std::string with_source(const std::string& source) {
  return "pools: [{name: p}]\nservices: [{name: s, deployments: [{pool: p, sources: [" + source + "]}]}]\n";
}
std::string with_query(const std::string& query) {
  return with_source("{kind: prometheus, endpoint: {url: \"http://h:9090\"}, queries: {in_flight: '" + query + "'}}");
}
std::string with_job(const std::string& options) {
  return "pools: [{name: p}]\nfleets: [{name: f, pool: p}]\njobs: [{name: j, model: m, deployments: [{pool: p, fleet: "
         "f, " +
         options + "}]}]\n";
}

std::string with_victim(const std::string& victim, const std::string& sources) {
  return "pools: [{name: p}]\nfleets: [{name: f, pool: p}]\njobs: [{name: j, victim: {policy: " + victim +
         "}, deployments: [{pool: p, fleet: f, command: [x, \"{port}\"]" + sources + "}]}]\n";
}

TEST(Rules, ALeastLostVictimNeedsWhoTellsWhatReplicasWorkOn) {
  EXPECT_EQ(problems_of(with_victim("least_lost", ", sources: [{kind: scrape, dialect: vllm}]")), "");
  EXPECT_EQ(problems_of(with_victim("newest", "")), "");
  for (const auto& [victim, sources, problem] :
       {std::tuple{"least_lost", "", "the victim policy 'least_lost' needs one source that tells"},
        std::tuple{"least_lost", ", sources: [{}, {}]", "the victim policy 'least_lost' needs one source"},
        std::tuple{"newest", ", sources: [{kind: scrape}]", "the victim policy 'newest' does not look at them"},
        std::tuple{"least_lost", ", sources: [{targets: [\"http://h:1\"]}]", "targets must be left out"},
        std::tuple{"least_lost",
                   ", sources: [{kind: prometheus, endpoint: {url: \"http://h:1\"}, queries: {in_flight: \"x\"}}]",
                   "only itself can tell: kind scrape"}}) {
    EXPECT_NE(problems_of(with_victim(victim, sources)).find(problem), std::string::npos)
        << victim << sources << "\n"
        << problems_of(with_victim(victim, sources));
  }
}

TEST(Rules, AModelledReplicaHasNothingToAsk) {
  const auto modelled = [](const std::string& sources) {
    return "pools: [{name: p}]\nfleets: [{name: f, pool: p, kind: simulated}]\njobs: [{name: j, victim: {policy: "
           "least_lost}, deployments: [{pool: p, fleet: f" +
           sources + "}]}]\n";
  };
  EXPECT_EQ(problems_of(modelled("")), "");
  EXPECT_NE(problems_of(modelled(", sources: [{}]")).find("what a back-test models has no metrics to read"),
            std::string::npos);
}

TEST(Rules, AbsenceMadeZeroIsFoundInEverySpelling) {
  for (const char* query :
       {"a or vector(0)", "a or  vector (0)", "a OR vector(0)", "a or on() vector(0)", "a or ignoring(x) (vector(0))",
        "(a)or(vector(0))", "a or # why\n\n vector(0)", "sum(a or\n\n\tvector(1))"}) {
    EXPECT_NE(problems_of(with_query(query)).find("absence is not zero"), std::string::npos) << query;
  }
}

TEST(Rules, QueriesThatOnlyLookAlikeAreLeftAlone) {
  for (const char* query : {"a or b", "vector(1) * on() group_left() a", "a{job=\"x or vector(0)\"}",
                            "floor(a) + vector_total", "a or my:vector", "for_vector(a)", "a # or vector(0)"}) {
    EXPECT_EQ(problems_of(with_query(query)).find("absence is not zero"), std::string::npos) << query;
  }
}

TEST(Rules, BaseUrlsOfEveryKindAreTaken) {
  for (const char* url : {"http://h", "https://h:9090", "http://127.0.0.1:1/prometheus", "http://[::1]:9090",
                          "http://[fe80::1]", "https://mimir.example.com/prometheus/"}) {
    EXPECT_EQ(problems_of(with_source("{targets: [\"" + std::string(url) + "\"]}")), "") << url;
  }
  for (const char* url : {"h:9090", "ftp://h", "http://", "http:///x", "http://h:", "http://h:0", "http://h:x",
                          "http://a b", "http://::1:80", "http://h?x=1", "http://h#x", "HTTP://h"}) {
    EXPECT_NE(problems_of(with_source("{targets: [\"" + std::string(url) + "\"]}")), "") << url;
  }
}

TEST(Rules, ASecretInAUrlIsRefusedWithoutRepeatingIt) {
  for (const char* url : {"http://ann:hunter2@h", "http://h/?token=hunter2", "hunter2@h", "http://h#hunter2"}) {
    const std::string said = problems_of(with_source("{targets: [\"" + std::string(url) + "\"]}"));
    EXPECT_NE(said, "") << url;
    EXPECT_EQ(said.find("hunter2"), std::string::npos) << said;
  }
}

TEST(Rules, SecretsInCommandsAndVariablesAreRefusedWithoutRepeatingThem) {
  for (const char* options :
       {"command: [x, \"{port}\", --api-key, hunter2]", "command: [x, \"{port}\", --hf-token=hunter2]",
        "command: [x, \"{port}\"], environment: {HF_TOKEN: hunter2}",
        "command: [x, \"{port}\"], environment: {aws_secret_access_key: hunter2}"}) {
    const std::string said = problems_of(with_job(options));
    EXPECT_NE(said.find("a secret must not stand in the file"), std::string::npos) << options;
    EXPECT_EQ(said.find("hunter2"), std::string::npos) << said;
  }
}

TEST(Rules, WordsThatOnlySoundLikeSecretsAreTaken) {
  for (const char* options :
       {"command: [x, \"{port}\", --max-num-batched-tokens, 8192, --tokenizer, t, --skip-tokenizer-init]",
        "command: [x, \"{port}\"], environment: {TOKENIZERS_PARALLELISM: false, HF_HUB_DISABLE_IMPLICIT_TOKEN: 1}",
        "command: [x, \"{port}\", --speculative-config, '{\"method\": \"ngram\", \"n\": {\"a\": 1}}']",
        "command: [sh, -c, 'exec x --port {port} --cache ${HOME}/c{}']",
        "command: [x, \"http://127.0.0.1:{port}\", \"{gpus}{deployment}{replica}{model}\"]"}) {
    const std::string said = problems_of(with_job(options));
    // A shell's variable in braces reads like a placeholder, and is one mistake less to make.
    if (std::string(options).find("HOME") != std::string::npos) {
      EXPECT_NE(said.find("'{HOME}'"), std::string::npos) << said;
    } else {
      EXPECT_EQ(said, "") << options;
    }
  }
}

TEST(Rules, NumbersAreReadAsTheyAreWritten) {
  const auto gpus = [](const std::string& text) {
    return load_config_text("pools: [{name: p, gpus: " + text + "}]\n", "x");
  };
  EXPECT_EQ(gpus("16").config->pools[0].gpus, Gpus{16});
  for (const char* text : {"010", "0x10", "1_000", "+8", "8.0", "8e0", "'8'", "\"8\"", "eight", "true", "~", "[8]",
                           "1:30", "-1", "2147483648", "-9223372036854775809", "!!int 8", "!!str 8"}) {
    EXPECT_FALSE(gpus(text).config) << text;
  }
  const auto weight = [](const std::string& text) {
    return load_config_text("pools: [{name: p}]\nfleets: [{name: f, pool: p}]\njobs: [{name: j, weight: " + text +
                                ", deployments: [{pool: p, fleet: f, command: [\"{port}\"]}]}]\n",
                            "x");
  };
  EXPECT_EQ(weight("2.5").config->jobs[0].weight, 2.5);
  EXPECT_EQ(weight("1e3").config->jobs[0].weight, 1000);
  for (const char* text :
       {".nan", ".inf", "-.inf", "nan", "inf", "infinity", "1e999", "007", "0x1p3", "'2'", "0", "1,5"}) {
    EXPECT_FALSE(weight(text).config) << text;
  }
}

TEST(Rules, DurationsNeedAUnit) {
  const auto tick = [](const std::string& text) {
    return load_config_text("pools: [{name: p}]\ntick: " + text + "\n", "x");
  };
  EXPECT_EQ(tick("1m30s").config->tick, Duration{90'000});
  EXPECT_EQ(tick("2500ms").config->tick, Duration{2'500});
  EXPECT_EQ(tick("\"5s\"").config->tick, Duration{5'000});
  for (const char* text : {"90", "1.5", "-5s", "5 s", "5S", "5sec", "1e1s", "inf", "infs", ".nan", "nans", "0x5s",
                           "5s5", "s", "''", "99999999999999999999d", "1:30"}) {
    EXPECT_FALSE(tick(text).config) << text;
  }
}

TEST(Rules, TrueAndFalseAreTheOnlyBooleans) {
  const auto warnings = [](const std::string& text) {
    return problems_of(with_source("{targets: [\"http://h\"], accept_warnings: " + text + "}"));
  };
  EXPECT_EQ(warnings("true"), "");
  EXPECT_EQ(warnings("false"), "");
  for (const char* text : {"yes", "no", "on", "off", "y", "n", "True", "TRUE", "1", "0", "\"true\"", "~"}) {
    EXPECT_NE(warnings(text), "") << text;
  }
}

TEST(Rules, ABrokenOptionSilencesTheRulesThatInvolveIt) {
  EXPECT_EQ(problems_of("pools: 3\nfleets: [{name: f, pool: p}]\n"), "x:1:8: 'pools' must be a list\n");
  EXPECT_EQ(problems_of("pools: [{name: p}]\ntick: 90\nsample_interval: 6s\nobserve_timeout: 1s\n"),
            "x:2:7: 'tick' needs a unit: write 90s for seconds (ms, s, m, h, d)\n");
  EXPECT_EQ(problems_of("pools: [{name: [p]}]\nfleets: [{name: f, pool: p}]\n"),
            "x:1:16: 'name' must be text, got a list\n");
}

TEST(Rules, AMisplacedOptionIsSentHome) {
  EXPECT_EQ(problems_of("pools: [{name: p}]\nquiet_window: 5s\n"),
            "x:2:1: unknown key 'quiet_window'; it belongs into pools[]\n");
  EXPECT_EQ(problems_of("pools: [{name: p, log_level: info}]\n"),
            "x:1:19: unknown key 'log_level'; it belongs into the top level\n");
  EXPECT_EQ(problems_of("pools: [{name: p}]\nwhatever: 5s\n"), "x:2:1: unknown key 'whatever'\n");
}

TEST(Rules, AnchorsAreFollowedAndTheirMistakesSaidOnce) {
  const std::string jobs =
      "pools: [{name: p, gpus: 2}]\nfleets: [{name: f, pool: p}]\njobs:\n- name: a\n  deployments: &d\n"
      "  - {pool: p, fleet: f, command: [x, \"{port}\"]}\n- {name: b, deployments: *d}\n";
  const Loaded loaded = load_config_text(jobs, "x");
  ASSERT_TRUE(loaded.config) << to_text(loaded.problems);
  EXPECT_EQ(loaded.config->jobs[1].deployments[0].id, DeploymentId("b@p"));
  std::string wrong = jobs;
  wrong.replace(wrong.find("\"{port}\""), 8, "5");
  EXPECT_EQ(problems_of(wrong), "x:6:25: the command must contain {port}: each replica listens on its own\n");
}

TEST(Rules, BracketsInCommentsAndTextAreNoNesting) {
  std::string text = "pools: [{name: p}]\n";
  for (int i = 0; i < 1'000; ++i) text += "# [ {\n";
  EXPECT_EQ(problems_of(text), "");
}

TEST(Rules, LoopbackIsAnAddressAndNotAPrefix) {
  const auto listen = [](const std::string& text) {
    return problems_of("pools: [{name: p}]\napi: {listen: \"" + text + "\"}\n");
  };
  for (const char* text : {"127.0.0.1:8470", "127.8.8.8:0", "[::1]:8470", "localhost:1"})
    EXPECT_EQ(listen(text), "") << text;
  for (const char* text :
       {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "127.example.com:1", "127.0.0.1.nip.io:1", ":8470", "::1:8470",
        "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "localhost.example:1", ""}) {
    EXPECT_NE(listen(text), "") << text;
  }
}

TEST(Rules, TheLargestSumsStayInsideOurArithmetic) {
  // 100,000 replicas of 1,024 GPUs would be 102,400,000: a few such sums end an int.
  const std::string text =
      "pools: [{name: p, gpus: 2000}]\nfleets: [{name: f, pool: p, first_port: 10000, last_port: 20000}]\n"
      "jobs: [{name: j, deployments: [{pool: p, fleet: f, max: 100000, gpus_per_replica: 1024, command: "
      "[\"{port}\"]}]}]\n"
      "api: {listen: \"127.0.0.1:1\"}\n";
  EXPECT_NE(problems_of(text).find("102400000 GPUs, more than 100000000"), std::string::npos) << problems_of(text);
}

TEST(Rules, AThousandFleetsAreCheckedQuickly) {
  std::string pools = "pools:\n", fleets = "fleets:\n";
  for (int i = 0; i < 1'000; ++i) {
    const std::string n = std::to_string(i);
    pools += "- {name: p" + n + ", gpus: 8}\n";
    fleets += "- {name: f" + n + ", pool: p" + n + ", first_port: " + std::to_string(10'000 + 8 * i) +
              ", last_port: " + std::to_string(10'007 + 8 * i) + ", gpu_ids: [";
    for (int g = 0; g < 8; ++g) fleets += (g == 0 ? "g" : ", g") + n + "-" + std::to_string(g);
    fleets += "]}\n";
  }
  const Loaded loaded = load_config_text(pools + fleets + "api: {listen: \"127.0.0.1:1\"}\n", "x");
  EXPECT_TRUE(loaded.config) << to_text(loaded.problems);
}

TEST(Rules, PathologicalFilesEndInAMessageSoon) {
  std::string many = "pools: [", keys, dashes, aliases = "a: &a [x]\nb: [";
  for (int i = 0; i < 200'000; ++i) many += "{},";
  for (int i = 0; i < 60'000; ++i) keys += "k" + std::to_string(i) + ": 1\n";
  for (int i = 0; i < 300'000; ++i) dashes += "- ";
  for (int i = 0; i < 200'000; ++i) aliases += "*a, ";
  for (const std::string& text : {many + "]\n", keys, dashes + "x\n", aliases + "]\n", std::string(1 << 20, '['),
                                  std::string(1 << 20, '?'), std::string(1 << 20, '&')}) {
    const Loaded loaded = load_config_text(text, "x");
    EXPECT_FALSE(loaded.config);
    EXPECT_LE(loaded.problems.size(), 1'001u);
  }
}

}  // namespace
}  // namespace ebb
