/* What loading.py asks first: the version of the functions, and which builds this processor can run. */

#include "vectors.h"

/* To raise with every change of a function's arguments, here and in loading.py. */
EXPORT int version(void) { return 2; }

/* 0 base, 1 AVX2, 2 AVX-512. */
EXPORT int level(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return 0;
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
             ? 2
             : 1;
#else
  return 0;
#endif
}
