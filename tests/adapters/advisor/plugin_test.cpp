// Shared objects behind ebb-plugin-host.
#include "tests/adapters/advisor/rig.hpp"

namespace ebb::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::string> hosted(const std::string& plugin) {
  return {EBB_BIN_DIR "/ebb-plugin-host", EBB_BIN_DIR "/" + plugin + ".so"};
}

TEST(Plugin, AnswersAndDeclines) {
  AdvisorRig rig(hosted("example_plugin"));
  const Reading<Advice> answer = rig.ask(question(24));
  ASSERT_TRUE(answer.known()) << answer.missing()->why;
  EXPECT_EQ(answer.value().need, 2.4);
  EXPECT_EQ(answer.value().note, "chat@p has 3 ready");
  AdviceQuestion unknown = question(24);
  unknown.signals["in_flight"].value = Missing{"scrape timed out", unknown.at};
  EXPECT_EQ(rig.why(unknown), "in_flight is unknown");
  EXPECT_EQ(rig.ask(question(50)).value().need, 5);
}

TEST(Plugin, OfAnotherAbiIsRefused) {
  AdvisorRig rig(hosted("wrong_abi_plugin"));
  EXPECT_THAT(rig.why(), HasSubstr("wrong_abi_plugin.so was built for plugin ABI 2, this Ebb has 1"));
}

TEST(Plugin, ThatIsNoneOrIsNotThereIsRefused) {
  AdvisorRig none({EBB_BIN_DIR "/ebb-plugin-host", "/nowhere/at-all.so"});
  EXPECT_THAT(none.why(), HasSubstr("/nowhere/at-all.so cannot be loaded: "));
  AdvisorRig other({EBB_BIN_DIR "/ebb-plugin-host", "libm.so.6"});
  EXPECT_THAT(other.why(), HasSubstr("is no plugin: it has no ebb_plugin_abi"));
}

TEST(Plugin, ThatCrashesTakesOnlyItsHostWithIt) {
  AdvisorRig rig(hosted("crashing_plugin"));
  EXPECT_THAT(rig.why(), StartsWith("ended by signal 6"));
  EXPECT_THAT(rig.why(), HasSubstr("it is started again at "));
  rig.clock.skip(Duration{10'000});
  EXPECT_THAT(rig.why(), StartsWith("ended by signal 6")) << "and is started again";
}

}  // namespace
}  // namespace ebb::testing
