/* The interface of a capacity plugin: a shared object that says how many replicas a production deployment needs.
 *
 * `ebb-plugin-host` loads it in a process of its own and calls it once for every deployment and every look at
 * production, one call at a time. A crash ends that process and nothing else. An answer must be there within the policy's
 * `deadline`; long computations belong into a thread of the plugin's that leaves its latest result behind.
 *
 * Build:  cc -std=c11 -shared -fPIC -I<here> -o my_plugin.so my_plugin.c
 */
#ifndef EBB_PLUGIN_H
#define EBB_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when anything below changes in a way that an older plugin would not survive. */
#define EBB_PLUGIN_ABI 1u

/* Room for a note, with its final zero. */
#define EBB_PLUGIN_NOTE 200

struct ebb_signal {
  const char* name;    /* "in_flight", "kv_usage", ... or the name of a query */
  double value;        /* summed over the replicas; only where `known` is not 0 */
  double at_least;     /* a lower bound; only where `has_at_least` is not 0 */
  int32_t known;       /* 0: unknown, which is not zero */
  int32_t has_at_least;
};

struct ebb_question {
  const char* deployment; /* "<service>@<pool>" */
  int64_t at_ms;          /* Unix time */
  int32_t ready;          /* replicas that serve */
  int32_t min, max;       /* the deployment's bounds; Ebb keeps them itself */
  int32_t reported;       /* replicas with a fresh report ... */
  int32_t expected;       /* ... out of so many that should have one */
  size_t signal_count;
  const struct ebb_signal* signals; /* sorted by name; valid during the call, as all pointers here */
};

struct ebb_answer {
  double need;                /* replicas, finite, not negative; rounded up by Ebb */
  char note[EBB_PLUGIN_NOTE]; /* why, in UTF-8, for people; all zero when called */
};

/* Must return EBB_PLUGIN_ABI as the plugin was compiled with. Called first, once. */
uint32_t ebb_plugin_abi(void);

/* 0: `answer` holds an answer. Anything else: no advice this time (`note` may say why), and the policy's fallback
 * decides. */
int32_t ebb_plugin_advise(const struct ebb_question* question, struct ebb_answer* answer);

#ifdef __cplusplus
}
#endif

#endif
