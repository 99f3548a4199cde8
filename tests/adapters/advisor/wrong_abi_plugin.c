/* Built for an interface that does not exist yet. */
#include "policies/plugin/ebb_plugin.h"

uint32_t ebb_plugin_abi(void) { return EBB_PLUGIN_ABI + 1; }

int32_t ebb_plugin_advise(const struct ebb_question* question, struct ebb_answer* answer) {
  (void)question;
  (void)answer;
  return 0;
}
