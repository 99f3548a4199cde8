/* Dies of its first question. */
#include <stdlib.h>

#include "policies/plugin/ebb_plugin.h"

uint32_t ebb_plugin_abi(void) { return EBB_PLUGIN_ABI; }

int32_t ebb_plugin_advise(const struct ebb_question* question, struct ebb_answer* answer) {
  (void)question;
  (void)answer;
  abort();
}
