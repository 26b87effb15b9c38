/* Passes over quantised directions: inner products, weighted sums, and means of sorted columns.

   Integers are read as they came. Inner products are exact in double precision (see directions.py),
   so their order does not matter. All other sums have the order of the rows, and nothing is fused. */

/* Numbers are finite here, and the sign of zero does not count: a minimum is one instruction. */
#pragma GCC optimize("finite-math-only", "no-signed-zeros")

#include "vectors.h"

#define COLUMNS 2048 /* of all rows, which are read twice while they are in the cache */
#define PARALLEL 4   /* vectors of sums that do not wait for each other */
#define DOUBLES (LANES / 2)
#define AHEAD 64     /* columns from the one that is sorted to the one that is fetched */
#define TILE LANES   /* columns that are sorted at a time: two vectors of doubles */

typedef double dvec __attribute__((vector_size(8 * DOUBLES)));

INLINE double read_integer(const char *row, int64_t place, int64_t bytes) {
  if (bytes == 1) return ((const int8_t *)row)[place];
  return bytes == 2 ? ((const int16_t *)row)[place] : ((const int32_t *)row)[place];
}

/* a * b + c where all three are exact, so that one rounding or two make no difference. */
INLINE dvec add_exact(dvec a, dvec b, dvec c) {
#if HAS_FMA
  for (int i = 0; i < DOUBLES; i++) c[i] = __builtin_fma(a[i], b[i], c[i]);
  return c;
#else
  return a * b + c;
#endif
}

/* Adds integers times a factor to a total. A function of its own: GCC 12 makes code for it that takes
   half the time of the same loop within others. */
static __attribute__((noinline)) void add_row(const char *row, double factor, int64_t bytes, int64_t first,
                                              int64_t wide, double *restrict total) {
  if (bytes == 1)
    for (int64_t i = 0; i < wide; i++) total[i] += read_integer(row, first + i, 1) * factor;
  else if (bytes == 2)
    for (int64_t i = 0; i < wide; i++) total[i] += read_integer(row, first + i, 2) * factor;
  else
    for (int64_t i = 0; i < wide; i++) total[i] += read_integer(row, first + i, 4) * factor;
}

INLINE void add_products(const char *const *rows, const double *shifts, int64_t count, int64_t bytes, int64_t start,
                         int64_t stop, double *inner, double *squares) {
  dvec sums[COLUMNS / DOUBLES], values[COLUMNS / DOUBLES];
  double *value = (double *)values;
  for (int64_t first = start; first < stop; first += COLUMNS) {
    const int64_t wide = stop - first < COLUMNS ? stop - first : COLUMNS;
    memset(sums, 0, sizeof sums);
    memset(values, 0, sizeof values); /* what is not read below counts as 0 */
    for (int64_t k = 0; k < count; k++) add_row(rows[k], shifts[k], bytes, first, wide, (double *)sums);
    for (int64_t k = 0; k < count; k++) {
      dvec with_sum[PARALLEL], with_self[PARALLEL];
      UNROLLED for (int t = 0; t < PARALLEL; t++) with_sum[t] = with_self[t] = (dvec){0};
      for (int64_t i = 0; i < wide; i++) value[i] = read_integer(rows[k], first + i, bytes);
      for (int64_t i = 0; i < (wide + DOUBLES - 1) / DOUBLES; i += PARALLEL) {
        __builtin_prefetch(rows[k] + (first + COLUMNS + i * DOUBLES) * bytes);
        UNROLLED for (int t = 0; t < PARALLEL; t++) {
          with_sum[t] = add_exact(values[i + t], sums[i + t], with_sum[t]);
          with_self[t] = add_exact(values[i + t], values[i + t], with_self[t]);
        }
      }
      for (int t = 0; t < PARALLEL; t++)
        for (int lane = 0; lane < DOUBLES; lane++)
          inner[k] += with_sum[t][lane], squares[k] += with_self[t][lane];
    }
  }
}

/* Adds, for each row, its inner product with the sum of all rows times their shifts, and with itself.
   The rows have integers of 1, 2 or 4 bytes. Only columns from start to stop count. */
EXPORT void inner_products(const char *const *rows, const double *shifts, int64_t count, int64_t bytes, int64_t start,
                           int64_t stop, double *inner, double *squares) {
  if (bytes == 1)
    add_products(rows, shifts, count, 1, start, stop, inner, squares);
  else if (bytes == 2)
    add_products(rows, shifts, count, 2, start, stop, inner, squares);
  else
    add_products(rows, shifts, count, 4, start, stop, inner, squares);
}

/* Adds the rows times their factors, in their order, to zeros, and divides by a number. */
EXPORT void weighted_sum(const char *const *rows, const double *factors, int64_t count, int64_t bytes, int64_t start,
                         int64_t stop, double divisor, double *total) {
  for (int64_t first = start; first < stop; first += COLUMNS) {
    const int64_t wide = stop - first < COLUMNS ? stop - first : COLUMNS;
    for (int64_t k = 0; k < count; k++) add_row(rows[k], factors[k], bytes, first, wide, total + first);
    for (int64_t i = first; i < first + wide; i++) total[i] /= divisor;
  }
}

/* The mean of each column's values in sorted order, without `trim` at both ends. `pairs` are the
   exchanges of a sorting network; `room` has TILE numbers for each row. */
EXPORT void trimmed_means(const char *const *rows, const double *factors, int64_t count, int64_t bytes, int64_t start,
                          int64_t stop, int64_t trim, const int32_t *pairs, int64_t exchanges, double divisor,
                          double *room, double *means) {
  for (int64_t first = start; first < stop; first += TILE) {
    const int64_t wide = stop - first < TILE ? stop - first : TILE;
    double *value = room;
    for (int64_t k = 0; k < count; k++, value += TILE) {
      __builtin_prefetch(rows[k] + (first + AHEAD) * bytes);
      if (wide == TILE && bytes == 2)
        UNROLLED for (int i = 0; i < TILE; i++) value[i] = read_integer(rows[k], first + i, 2) * factors[k];
      else
        for (int i = 0; i < wide; i++) value[i] = read_integer(rows[k], first + i, bytes) * factors[k];
    }
    for (int64_t e = 0; e < exchanges; e++) {
      dvec *a = (dvec *)(room + TILE * pairs[2 * e]), *b = (dvec *)(room + TILE * pairs[2 * e + 1]);
      UNROLLED for (int t = 0; t < TILE / DOUBLES; t++) {
        const dvec one = a[t], other = b[t];
        dvec low, high;
        for (int i = 0; i < DOUBLES; i++) {
          low[i] = one[i] < other[i] ? one[i] : other[i];
          high[i] = one[i] < other[i] ? other[i] : one[i];
        }
        a[t] = low, b[t] = high;
      }
    }
    double total[TILE] = {0};
    for (int64_t k = trim; k < count - trim; k++)
      UNROLLED for (int i = 0; i < TILE; i++) total[i] += room[k * TILE + i];
    for (int64_t i = 0; i < wide; i++) means[first + i] = total[i] / (double)(count - 2 * trim) / divisor;
  }
}

/* Products of two matrices, one pair after the other; sums run over the inner index from its first
   value. The twin is `product` of aggregation/ordered.py. */
EXPORT void ordered_products(const double *restrict left, const double *restrict right, int64_t count, int64_t rows,
                             int64_t inner, int64_t columns, double *restrict made) {
  for (int64_t pair = 0; pair < count; pair++, right += inner * columns)
    for (int64_t i = 0; i < rows; i++, left += inner, made += columns) {
      for (int64_t j = 0; j < columns; j++) made[j] = left[0] * right[j];
      for (int64_t k = 1; k < inner; k++)
        for (int64_t j = 0; j < columns; j++) made[j] += left[k] * right[k * columns + j];
    }
}
