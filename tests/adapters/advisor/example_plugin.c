/* A plugin as docs/policies.md describes it: ten requests a replica. */
#include <stdio.h>
#include <string.h>

#include "policies/plugin/ebb_plugin.h"

uint32_t ebb_plugin_abi(void) { return EBB_PLUGIN_ABI; }

int32_t ebb_plugin_advise(const struct ebb_question* question, struct ebb_answer* answer) {
  size_t i;
  printf("what a plugin prints must not reach the daemon\n");
  for (i = 0; i < question->signal_count; ++i) {
    const struct ebb_signal* signal = &question->signals[i];
    if (strcmp(signal->name, "in_flight") != 0 || !signal->known) continue;
    answer->need = signal->value / 10;
    snprintf(answer->note, sizeof answer->note, "%s has %d ready", question->deployment, (int)question->ready);
    return 0;
  }
  snprintf(answer->note, sizeof answer->note, "in_flight is unknown");
  return 1;
}
