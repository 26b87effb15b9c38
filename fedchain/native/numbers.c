/* Random words to normal and Laplace numbers, and passes over one row of a release.

   Every number comes from additions, multiplications and roots in the order that stands here, none
   of them fused, so that all processors give the same bits. The twins are in
   fedchain/transforms.py. */

#include "vectors.h"

#define PARTIAL_SUMS 16

static const float LOG_TERMS[] = {
    1.0f, -0.500000656f, 0.333336025f, -0.249932632f, 0.199755535f,
    -0.168228135f, 0.149968326f, -0.120915212f, 0.0542594269f,
};
static const float SINE_TERMS[] = {0.785398185f, -0.0807454363f, 0.00249000685f, -3.59543992e-05f};
static const float COSINE_TERMS[] = {1.0f, -0.308425128f, 0.0158543251f, -0.000325938599f, 3.52980419e-06f};

/* The logarithm of x / 2^exponent, for a positive normal number x = 2^e m with m from .75 to 1.5. */
INLINE float logarithm(float x, float exponent) {
  int32_t bits;
  memcpy(&bits, &x, 4);
  const int32_t e = (bits - 0x3f400000) >> 23;
  bits -= (int32_t)((uint32_t)e << 23);
  float m;
  memcpy(&m, &bits, 4);
  const float t = m - 1.0f;
  float sum = LOG_TERMS[8];
  UNROLLED for (int k = 7; k >= 0; k--) {
    sum = sum * t;
    sum = sum + LOG_TERMS[k];
  }
  sum = sum * t;
  const float whole = ((float)e - exponent) * 0.693147182464599609375f;
  return sum + whole;
}

/* Box and Muller: the first `half` words give radii, the others angles. Returns how many words of
   radii are 0; the numbers at their places are not the final ones. */
EXPORT int64_t normals(const uint32_t *restrict words, float *restrict numbers, int64_t half) {
  const uint32_t *angles = words + half;
  float *others = numbers + half;
  int64_t zeros = 0;
  for (int64_t i = 0; i < half; i++) {
    zeros += words[i] == 0;
    const float radius = sqrtf(logarithm((float)words[i] + 0.5f, 32.0f) * -2.0f);
    const uint32_t quarter = angles[i] >> 30; /* of a turn; the rest is an angle from -45 to 45 degrees */
    const float f = (float)(int32_t)(angles[i] & 0x3fffffff) * 0x1p-29f - 1.0f, z = f * f;
    float sine = SINE_TERMS[3], cosine = COSINE_TERMS[4];
    UNROLLED for (int k = 2; k >= 0; k--) {
      sine = sine * z;
      sine = sine + SINE_TERMS[k];
    }
    sine = sine * f;
    UNROLLED for (int k = 3; k >= 0; k--) {
      cosine = cosine * z;
      cosine = cosine + COSINE_TERMS[k];
    }
    float across = quarter & 1 ? sine : cosine, along = quarter & 1 ? cosine : sine;
    across = quarter == 1 || quarter == 2 ? -across : across;
    along = quarter & 2 ? -along : along;
    numbers[i] = radius * across;
    others[i] = radius * along;
  }
  return zeros;
}

/* The last bit of a word is the sign, the other 31 bits give the magnitude. Returns as above. */
EXPORT int64_t laplaces(const uint32_t *restrict words, float *restrict numbers, int64_t count) {
  int64_t zeros = 0;
  for (int64_t i = 0; i < count; i++) {
    const int32_t whole = (int32_t)(words[i] >> 1);
    zeros += whole == 0;
    const float number = logarithm((float)whole + 0.5f, 31.0f);
    numbers[i] = words[i] & 1 ? -number : number;
  }
  return zeros;
}

/* Adds a gradient to scaled noise: in double precision, rounded once to single precision. */
EXPORT void add_gradient(float *restrict noise, float scale, const double *restrict gradient, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const float scaled = noise[i] * scale;
    noise[i] = (float)((double)scaled + gradient[i]);
  }
}

/* The sum of squares in double precision, in 16 partial sums by index modulo 16. */
EXPORT double squares(const float *restrict row, int64_t count) {
  double sums[PARTIAL_SUMS] = {0}, total = 0.0;
  int64_t i = 0;
  for (; i + PARTIAL_SUMS <= count; i += PARTIAL_SUMS)
    for (int t = 0; t < PARTIAL_SUMS; t++) sums[t] += (double)row[i + t] * (double)row[i + t];
  for (int t = 0; i < count; i++, t++) sums[t] += (double)row[i] * (double)row[i];
  for (int t = 0; t < PARTIAL_SUMS; t++) total += sums[t];
  return total;
}

/* The largest magnitude of a row. */
EXPORT float peak(const float *row, int64_t count) {
  float most[PARTIAL_SUMS] = {0}, largest = 0.0f;
  int64_t i = 0;
  for (; i + PARTIAL_SUMS <= count; i += PARTIAL_SUMS)
    for (int t = 0; t < PARTIAL_SUMS; t++) most[t] = fabsf(row[i + t]) > most[t] ? fabsf(row[i + t]) : most[t];
  for (; i < count; i++) most[0] = fabsf(row[i]) > most[0] ? fabsf(row[i]) : most[0];
  for (int t = 0; t < PARTIAL_SUMS; t++) largest = most[t] > largest ? most[t] : largest;
  return largest;
}

/* Multiplies a row by a factor and rounds it to integers of 1 or 2 bytes; ties go to even. The
   products are below 2^22: adding 1.5 2^23 rounds them. */
EXPORT void quantise(const float *restrict row, int64_t count, float factor, int64_t bytes, void *restrict to) {
  const float big = 12582912.0f;
  int8_t *one = to;
  int16_t *two = to;
  if (bytes == 1)
    for (int64_t i = 0; i < count; i++) one[i] = (int8_t)(int32_t)((row[i] * factor + big) - big);
  else
    for (int64_t i = 0; i < count; i++) two[i] = (int16_t)(int32_t)((row[i] * factor + big) - big);
}

/* The sum of squares of integers of 1 or 2 bytes, exactly. */
EXPORT int64_t square_sum(const void *row, int64_t count, int64_t bytes) {
  const int8_t *one = row;
  const int16_t *two = row;
  int64_t total = 0;
  for (int64_t i = 0; i < count; i++) {
    const int32_t value = bytes == 1 ? one[i] : two[i];
    total += (int64_t)(value * value);
  }
  return total;
}

/* The low 16 bits of a word are added to the start of the block that its high 16 bits name. Slots
   from `named` on name none: their places are written to `open`. Returns how many there are. */
EXPORT int64_t from_blocks(const uint32_t *restrict words, int32_t *restrict numbers, int64_t count,
                           const int32_t *restrict starts, int64_t named, int64_t *restrict open) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; i++) {
    const int64_t slot = words[i] >> 16;
    numbers[i] = starts[slot] + (int32_t)(words[i] & 0xffff);
    open[found] = i;
    found += slot >= named;
  }
  return found;
}

/* Rounds a gradient to a grid, adds noise in steps of the grid, and writes the result over the noise. */
EXPORT void add_steps(int32_t *noise, const double *restrict gradient, double step, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const float sum = (float)((rint(gradient[i] / step) + (double)noise[i]) * step);
    memcpy(noise + i, &sum, 4);
  }
}
