/* Vectors: as many single-precision numbers as a register holds, one for each example.

   Every build computes the same bits. Products and sums are fused only where fused() says so; the
   compiler must fuse nothing by itself (-ffp-contract=off). */

#ifndef FEDCHAIN_VECTORS_H
#define FEDCHAIN_VECTORS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#define REGISTERS 32
#elif defined(__AVX2__)
#define LANES 8
#define REGISTERS 16
#else
#define LANES 4
#define REGISTERS 16
#endif

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define HAS_FMA 1
#else
#define HAS_FMA 0
#endif

#define INLINE static inline __attribute__((always_inline))
#define EXPORT __attribute__((visibility("default")))
#define UNROLLED _Pragma("GCC unroll 16")
#define EACH_LANE for (int lane = 0; lane < LANES; lane++)

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

INLINE vec splat(float value) { return value - (vec){0}; }

/* The product of two floats is exact in double precision. The sum with c is rounded to odd there,
   so that the second rounding, to single precision, gives a * b + c rounded once. */
INLINE float fused_without_instruction(float a, float b, float c) {
  double product = (double)a * (double)b, whole = product + (double)c;
  double part = whole - product, lost = (product - (whole - part)) + ((double)c - part);
  int64_t bits;
  memcpy(&bits, &whole, 8);
  if ((lost > 0 || lost < 0) && !(bits & 1) && whole - whole == 0) {
    bits += (lost > 0) == (whole > 0) ? 1 : -1;
    memcpy(&whole, &bits, 8);
  }
  return (float)whole;
}

INLINE vec fused(vec a, vec b, vec c) {
  vec result;
#if HAS_FMA
  EACH_LANE result[lane] = __builtin_fmaf(a[lane], b[lane], c[lane]);
#else
  EACH_LANE result[lane] = fused_without_instruction(a[lane], b[lane], c[lane]);
#endif
  return result;
}

INLINE vec choose(ivec condition, vec yes, vec no) {
  return (vec)((condition & (ivec)yes) | (~condition & (ivec)no));
}

INLINE vec larger(vec a, vec b) { return choose(a > b, a, b); }

INLINE vec square_root(vec a) {
  vec result;
  EACH_LANE result[lane] = sqrtf(a[lane]);
  return result;
}

/* e^x for x <= 0, with a relative error of about 2e-7; numbers below -87 count as -87. */
INLINE vec exponential(vec x) {
  x = larger(x, splat(-87.0f));
  vec scaled = x * 1.44269504088896341f - 0.5f;
  ivec whole = __builtin_convertvector(scaled, ivec);
  vec steps = __builtin_convertvector(whole, vec);
  vec rest = fused(steps, splat(-0.693145751953125f), x); /* ln 2 in two parts */
  rest = fused(steps, splat(-1.42860682030941723e-6f), rest);
  vec sum = splat(1.9841270e-4f);
  sum = fused(sum, rest, splat(1.3888889e-3f));
  sum = fused(sum, rest, splat(8.3333333e-3f));
  sum = fused(sum, rest, splat(4.1666667e-2f));
  sum = fused(sum, rest, splat(1.6666667e-1f));
  sum = fused(sum, rest, splat(0.5f));
  sum = fused(sum, rest, splat(1.0f));
  sum = fused(sum, rest, splat(1.0f));
  return sum * (vec)((whole + 127) << 23);
}

/* log(1 + t) for t from 0 to 1, with an absolute error of about 1e-7. */
INLINE vec logarithm_plus_one(vec t) {
  vec s = t / (t + 2.0f), z = s * s; /* log(1 + t) = 2 artanh(s), s from 0 to 1/3 */
  vec sum = splat(1.0f / 13);
  sum = fused(sum, z, splat(1.0f / 11));
  sum = fused(sum, z, splat(1.0f / 9));
  sum = fused(sum, z, splat(1.0f / 7));
  sum = fused(sum, z, splat(1.0f / 5));
  sum = fused(sum, z, splat(1.0f / 3));
  vec tail = sum * z;
  return fused(s + s, tail, s + s);
}

#endif
