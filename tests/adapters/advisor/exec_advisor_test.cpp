// Advisers as real child processes: the example, and everything one can do wrong.
#include "adapters/advisor/exec_advisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "daemon/core/decide.hpp"
#include "daemon/runtime/observer.hpp"
#include "policies/capacity/exec.hpp"
#include "tests/adapters/advisor/rig.hpp"
#include "tests/runtime/temp_dir.hpp"
#include "tests/support/builders.hpp"
#include "tests/support/fake_ports.hpp"

namespace ebb::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kExample = std::string(EBB_SOURCE_DIR) + "/config/examples/policies/advise.py";

TEST(ThePythonExample, AnswersAndDeclines) {
  AdvisorRig rig({"python3", kExample});
  const Reading<Advice> answer = rig.ask(question(24));
  ASSERT_TRUE(answer.known()) << answer.missing()->why;
  EXPECT_EQ(answer.value().need, 2);
  EXPECT_EQ(answer.value().note, "24 requests, 12 a replica");
  AdviceQuestion morning = question(24);
  morning.at -= std::chrono::hours{6};
  EXPECT_EQ(rig.ask(morning).value().need, 3);
  AdviceQuestion unknown = question(24);
  unknown.signals["in_flight"].value = Missing{"scrape timed out", unknown.at};
  EXPECT_EQ(rig.why(unknown), "in_flight is unknown: scrape timed out");
  EXPECT_EQ(rig.ask(question(6)).value().need, 0.5) << "declining costs it nothing";
}

TEST(ThePythonExample, HasAtMostThirtyLines) {
  std::ifstream file(kExample);
  EXPECT_LE(std::count(std::istreambuf_iterator<char>(file), {}, '\n'), 30);
}

TEST(AnAdviser, IsAskedForSeveralDeploymentsAtOnceAndItsAnswersFindTheirs) {
  // Answers the second question first.
  AdvisorRig rig(
      python("kept.append(q)\nif len(kept) == 2:\n  for q in reversed(kept): say(need=q['ready'])", "kept = []"));
  AdviceQuestion one = question(1), other = question(1);
  one.ready = {4};
  other.ready = {6};
  const TimePoint until = rig.clock.now() + Duration{60'000};
  const auto first = test::start(rig.io, rig.advisor().advise(one, until));
  const auto second = test::start(rig.io, rig.advisor().advise(other, until));
  EXPECT_EQ(rig.wait(first).value().need, 4);
  EXPECT_EQ(rig.wait(second).value().need, 6);
}

TEST(AnAdviser, ThatIsSilentIsWaitedForNoLongerThanItsDeadline) {
  AdvisorRig rig(python("pass"), Duration{50});
  EXPECT_EQ(rig.why(), "no answer within 50ms");
}

TEST(AnAdviser, ThatIsSilentForLongIsStartedAgain) {
  AdvisorRig rig(python("pass"), Duration{50});
  (void)rig.why();
  rig.clock.skip(Duration{40'000});
  (void)rig.why();
  EXPECT_THAT(rig.why(), HasSubstr("was silent for 30s"));
}

TEST(AnAdviser, ThatMissesOneDeadlineLongAfterItsLastAnswerIsNotSilent) {
  // The second question gets no answer, the others do.
  AdvisorRig rig(python("n += 1\nif n != 2: say(need=os.getpid())", "n = 0"));
  const double pid = rig.ask().value().need;
  rig.clock.skip(Duration{60'000});  // nobody asked for a minute
  const TimePoint soon = rig.clock.now() + Duration{50};
  EXPECT_FALSE(rig.wait(test::start(rig.io, rig.advisor().advise(question(1), soon))).known());
  EXPECT_EQ(rig.ask().value().need, pid) << "still the same process";
}

TEST(AnAdviser, InheritsNothingButItsPipes) {
  const int open = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC, as libraries do
  ASSERT_GT(open, 2);
  AdvisorRig rig(python("say(need=1, note=' '.join(sorted(os.listdir('/proc/self/fd'))))"));
  const std::string inherited = rig.ask().value().note;
  ::close(open);
  EXPECT_EQ(inherited, "0 1 2 3") << "3 is the listing's own";
}

TEST(AnAdviser, ThatAnswersLateIsNotTakenForTheNextAnswer) {
  // Keeps the first question and answers it together with the second.
  AdvisorRig rig(python("kept.append(q)\nif len(kept) == 2:\n  for q in kept: say(need=10 + q['ready'])", "kept = []"));
  AdviceQuestion one = question(1), other = question(1);
  one.ready = {1};
  other.ready = {2};
  const TimePoint soon = rig.clock.now() + Duration{50};
  EXPECT_FALSE(rig.wait(test::start(rig.io, rig.advisor().advise(one, soon))).known());
  EXPECT_EQ(rig.ask(other).value().need, 12);
}

TEST(AnAdviser, ThatPrintsGarbageIsEndedAndTheReasonSaysWhatItPrinted) {
  AdvisorRig rig(python("print('hello', flush=True)"));
  EXPECT_EQ(rig.why(), "printed 'hello', which is no JSON object");
}

TEST(AnAdviser, ThatPrintsAGiantLineIsEnded) {
  AdvisorRig rig(python("print('x' * 10000000, flush=True)"));
  EXPECT_THAT(rig.why(), StartsWith("printed a line of more than 65536 bytes"));
}

TEST(AnAdviser, ThatFloodsIsEnded) {
  AdvisorRig rig(python("while True: say(need=1)"));
  (void)rig.why();
  rig.until([&] { return rig.why() != ""; });
  EXPECT_THAT(rig.why(), StartsWith("answers more than it was asked"));
}

TEST(AnAdviser, ThatSpeaksAnotherVersionIsEnded) {
  AdvisorRig rig(python("say(version=2, need=1)"));
  EXPECT_EQ(rig.why(), "speaks version 2 of the protocol, not 1");
}

TEST(AnAdviser, WhoseNeedIsNoNumberIsEndedSinceThatIsNoJson) {
  AdvisorRig rig(python("say(need=float('nan'))"));
  EXPECT_THAT(rig.why(), HasSubstr("NaN"));
}

TEST(AnAdviser, WhoseNeedCannotBeIsNotBelievedThisOnce) {
  AdvisorRig rig(python("say(need=-1 if q['ready'] else 5)"));
  EXPECT_EQ(rig.why(), "answered a need of -1 replicas");
  AdviceQuestion other = question(1);
  other.ready = {0};
  EXPECT_EQ(rig.ask(other).value().need, 5);
}

TEST(AnAdviser, ThatDiesIsNamedWithItsExitStatus) {
  AdvisorRig rig(python("sys.exit(3)"));
  EXPECT_THAT(rig.why(), StartsWith("ended with exit status 3"));
}

TEST(AnAdviser, ThatAnswersAndDiesIsHeard) {
  AdvisorRig rig(python("say(need=2)\nos._exit(0)"));
  EXPECT_EQ(rig.ask().value().need, 2);
}

TEST(AnAdviser, ThatClosesItsOutputIsEnded) {
  AdvisorRig rig(python("os.close(1)"));
  EXPECT_EQ(rig.why(), "closed its output");
}

TEST(AnAdviser, ThatDoesNotReadIsEndedWhenTooMuchIsUnsent) {
  AdvisorRig rig({"sleep", "1000"}, Duration{1});
  AdviceQuestion large = question(1);
  large.signals[std::string(200'000, 'x')] = {};
  std::string why;
  for (int i = 0; i < 20 && why.find("does not read") == std::string::npos; ++i) why = rig.why(large);
  EXPECT_THAT(why, StartsWith("does not read what it is asked"));
}

TEST(AnAdviser, ThatCannotBeStartedIsMissingWithItsName) {
  AdvisorRig rig({"/nowhere/at-all"});
  EXPECT_THAT(rig.why(), StartsWith("cannot start /nowhere/at-all: No such file or directory"));
}

TEST(AnAdviser, IsStartedAgainWithPausesThatGrowToTheirMaximum) {
  test::TempDir dir;
  const std::string starts = dir / "starts";
  AdvisorRig rig({"python3", "-c", "open('" + starts + "', 'a').write('x')"});
  rig.options.backoff_max = Duration{40'000};
  const auto count = [&] {
    std::ifstream file(starts);
    return std::count(std::istreambuf_iterator<char>(file), {}, 'x');
  };
  // Seconds to wait after each failure. A second less is not enough (the machine may be slow, but not by nine).
  long started = 0;
  for (const int pause : {10, 20, 40, 40}) {
    EXPECT_THAT(rig.why(), StartsWith("ended with exit status 0"));
    EXPECT_EQ(count(), ++started);
    rig.clock.skip(Duration{(pause - 9) * 1'000});
    EXPECT_THAT(rig.why(), HasSubstr("it is started again at ")) << pause;
    EXPECT_EQ(count(), started) << pause;
    rig.clock.skip(Duration{9'000});
  }
}

TEST(AnAdviser, DoesNotInheritSecrets) {
  ::setenv("EBB_ADVISOR_TEST", "secret", 1);
  AdvisorRig rig(python("say(need=len(os.environ.get('EBB_ADVISOR_TEST', '')))"));
  rig.options.hidden = {"EBB_ADVISOR_TEST"};
  EXPECT_EQ(rig.ask().value().need, 0);
}

TEST(AnAdviser, IsEndedWithItsChildrenWhenItIsClosed) {
  // Its note is the pid of a grandchild that holds the pipe's other end.
  AdvisorRig rig(python("say(need=1, note=str(child.pid))",
                        "import subprocess\n"
                        "child = subprocess.Popen(['sleep', '1000'])"));
  const pid_t grandchild = std::stoi(rig.ask().value().note);
  EXPECT_NE(::getpgid(grandchild), ::getpgrp()) << "a group of its own";
  pollfd end{static_cast<int>(::syscall(SYS_pidfd_open, grandchild, 0)), POLLIN, 0};
  ASSERT_GE(end.fd, 0);
  rig.advisor().close();
  EXPECT_EQ(rig.why(), "no longer asked");
  EXPECT_EQ(::poll(&end, 1, 60'000), 1) << "still alive";
  ::close(end.fd);
}

// ---------------------------------------------------------------- through the observer into a decision

Config advised_config() {
  Config config = small_config();
  config.services[0].capacity = std::make_shared<ExecCapacity>();
  return config;
}

Observation observed(AdvisorRig& rig, const Config& config) {
  // Noon to come: from eight to ten the example says something else, and so did these tests.
  const auto day = std::chrono::floor<std::chrono::days>(rig.clock.now());
  rig.clock.skip(day + std::chrono::hours{36} - rig.clock.now());
  auto wiring = std::make_shared<Wiring>();
  const auto source = std::make_shared<SaidSource>(rig.clock);
  source->in_flight = 30;
  wiring->sources[kChat] = {source};
  (void)rig.advisor();
  wiring->advisors[kChat] = rig.made;
  Observer observer(rig.clock);
  const auto seen = test::start(
      rig.io, observer.observe(std::make_shared<Config>(config), wiring, rig.clock.now() + Duration{40'000}));
  rig.until([&] { return seen->has_value(); });
  return seen->value();
}

Decision decided(const Observation& seen, const Config& config) {
  State state;
  state.started_at = seen.at;
  return decide(seen, state, config, seen.at);
}

TEST(AdviceInADecision, IsTakenAndItsNoteIsQuoted) {
  const Config config = advised_config();
  AdvisorRig rig({"python3", kExample});
  const Observation seen = observed(rig, config);
  const Decision decision = decided(seen, config);
  EXPECT_EQ(decision.deployments.at(kChat).need, Replicas{3}) << story(decision);
  EXPECT_THAT(story(decision), HasSubstr("chat@p: exec advises 2.5 (30 requests, 12 a replica): 3 replicas"));
}

TEST(AdviceInADecision, IsMadeAgainFromTheRecordWithoutAChild) {
  const Config config = advised_config();
  Observation seen;
  {
    AdvisorRig rig({"python3", kExample});
    seen = observed(rig, config);
  }
  EXPECT_EQ(decided(seen, config).why, decided(seen, config).why);
  EXPECT_EQ(decided(seen, config).deployments.at(kChat).need, Replicas{3});
}

TEST(AdviceInADecision, ThatIsNotThereLeavesItToTheFallbackAndSaysWhy) {
  const Config config = advised_config();
  AdvisorRig rig(python("sys.exit(3)"));
  const Decision decision = decided(observed(rig, config), config);
  EXPECT_EQ(decision.deployments.at(kChat).need, Replicas{2}) << "30 in flight at 16 a replica";
  EXPECT_THAT(story(decision), HasSubstr("exec gave no advice (ended with exit status 3): target_tracking decides"));
}

}  // namespace
}  // namespace ebb::testing
