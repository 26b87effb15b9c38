/* Gradients of convolutional models, with the examples innermost.

   A block has LANES examples, and every vector holds one number of each. A plane is one channel of
   an image with a border of zeros. All functions of one example use its own lane alone, and the
   order of every sum stands here: results depend neither on LANES nor on the number of threads.

   The caller (fedchain/learning/gradients/plan.py) derives the steps from a model and checks all
   sizes. Places of planes are counted in vectors, places of weights in floats. */

/* GCC 12 turns "if (flag) vector = .." in a loop into a selection that reaches the first lane alone,
   with AVX-512. */
#pragma GCC optimize("no-tree-loop-if-convert")

#include "vectors.h"

#define PARTIAL_SUMS 16

enum { CONVOLUTION, NORM, POOL, TRANSPOSED, DICE, FOCAL };

typedef struct { /* as the record Step in planes.py */
  int64_t kind;
  int64_t from, from_error; /* planes that enter; an error below 0 is not needed */
  int64_t to, to_error;     /* planes that leave, and the gradient of the loss with respect to them */
  int64_t adds;             /* whether the error of what enters is added to what stands there */
  int64_t in, out;          /* channels that enter and leave */
  int64_t height, width;    /* of what enters */
  int64_t kernel, groups;
  int64_t weight, bias;     /* places in the flat weights; below 0: none */
  int64_t normed, inverse;  /* kept by a norm: its result before gain and shift, its factors */
  double slope;             /* of the activation, for numbers that are not positive */
  double first, second, factor; /* parameters of a norm or a loss, and the loss's factor */
} Step;

typedef struct {
  int64_t steps, border, weights;
  int64_t channels, height, width, input; /* of the images, and the place where they enter */
  double clip;       /* below 0: no clipping */
  int64_t automatic; /* clip / (norm + .01) in place of min(1, clip / norm) */
} Plan;

typedef struct {
  const Step *step;
  const float *weights;
  const float *turned; /* kernels for the error of what enters: flipped, channels exchanged */
  vec *planes, *gradient;
  const vec *target;
  int64_t border;
} Work;

INLINE int64_t row_of(int64_t width, int64_t border) { return width + 2 * border; }
INLINE int64_t plane_of(int64_t height, int64_t width, int64_t border) {
  return (height + 2 * border) * (width + 2 * border);
}

/* ---- convolutions ---- */

INLINE void convolve_block(const vec *in, const float *kernels, const float *bias, vec *out, int64_t channels,
                           int64_t height, int64_t width, int64_t border, int kernel, int many, int pixels,
                           int64_t x, int64_t y, float slope, int adds) {
  const int64_t row = row_of(width, border), plane = plane_of(height, width, border);
  const int64_t area = (int64_t)kernel * kernel;
  vec sums[4][4];
  UNROLLED for (int k = 0; k < many; k++)
    UNROLLED for (int p = 0; p < pixels; p++) sums[k][p] = splat(bias ? bias[k] : 0.0f);
  for (int64_t c = 0; c < channels; c++)
    for (int i = 0; i < kernel; i++) {
      const vec *from = in + c * plane + (y + border - kernel / 2 + i) * row + x + border - kernel / 2;
      const float *factors = kernels + c * area + i * kernel;
#define ADD_TAP                                                                       \
  UNROLLED for (int k = 0; k < many; k++) {                                           \
    vec factor = splat(factors[k * channels * area + j]);                             \
    UNROLLED for (int p = 0; p < pixels; p++) sums[k][p] = fused(factor, from[j + p], sums[k][p]); \
  }
      if (__builtin_constant_p(kernel)) {
        UNROLLED for (int j = 0; j < kernel; j++) ADD_TAP
      } else
        for (int j = 0; j < kernel; j++) ADD_TAP
    }
  UNROLLED for (int k = 0; k < many; k++)
    UNROLLED for (int p = 0; p < pixels; p++) {
      vec *place = out + k * plane + (y + border) * row + x + border + p, sum = sums[k][p];
      if (slope != 1.0f) sum = choose(sum > 0.0f, sum, sum * slope);
      if (adds) sum += *place;
      *place = sum;
    }
}

INLINE void convolve_rows(const vec *in, const float *kernels, const float *bias, vec *out, int64_t channels,
                          int64_t height, int64_t width, int64_t border, int kernel, int many, float slope,
                          int adds) {
  for (int64_t y = 0; y < height; y++) {
    int64_t x = 0;
    for (; x + 4 <= width; x += 4)
      convolve_block(in, kernels, bias, out, channels, height, width, border, kernel, many, 4, x, y, slope, adds);
    for (; x < width; x++)
      convolve_block(in, kernels, bias, out, channels, height, width, border, kernel, many, 1, x, y, slope, adds);
  }
}

#define CONVOLVE(kernel, many)                                                                              \
  convolve_rows(in, kernels + k * channels * area, bias ? bias + k : 0, out + k * plane, channels, height, \
                width, border, kernel, many, slope, adds)
#define CONVOLVE_ALL(kernel)                   \
  for (; k + 4 <= many && REGISTERS == 32; k += 4) CONVOLVE(kernel, 4); \
  for (; k + 2 <= many; k += 2) CONVOLVE(kernel, 2);                    \
  for (; k < many; k++) CONVOLVE(kernel, 1)

static void convolve(const vec *in, const float *kernels, const float *bias, vec *out, int64_t channels,
                     int64_t many, int64_t height, int64_t width, int64_t border, int64_t size, float slope,
                     int adds) {
  const int64_t plane = plane_of(height, width, border), area = size * size;
  int64_t k = 0;
  if (size == 3) {
    CONVOLVE_ALL(3);
  } else if (size == 1) {
    CONVOLVE_ALL(1);
  } else {
    CONVOLVE_ALL(size);
  }
}

/* Gradients of the kernels between `many` channels of errors and one channel that entered. Only the
   taps from (top, left) on are computed, `rows` times `columns` of them. */
INLINE void correlate(const vec *in, const vec *error, vec *gradient, int64_t apart, int64_t height,
                      int64_t width, int64_t border, int size, int top, int left, int rows, int columns,
                      int many) {
  const int64_t row = row_of(width, border), plane = plane_of(height, width, border);
  vec sums[2][9];
  UNROLLED for (int k = 0; k < many; k++)
    UNROLLED for (int i = 0; i < rows; i++)
      UNROLLED for (int j = 0; j < columns; j++)
        gradient[k * apart + (top + i) * size + left + j] = splat(0.0f);
  for (int64_t y = 0; y < height; y++) { /* a sum for each row, since long sums lose digits */
    const vec *from = in + (y + border - size / 2 + top) * row + border - size / 2 + left;
    const vec *to = error + (y + border) * row + border;
    UNROLLED for (int k = 0; k < many; k++)
      UNROLLED for (int t = 0; t < rows * columns; t++) sums[k][t] = splat(0.0f);
    for (int64_t x = 0; x < width; x++)
      UNROLLED for (int k = 0; k < many; k++) {
        vec e = to[k * plane + x];
        UNROLLED for (int i = 0; i < rows; i++)
          UNROLLED for (int j = 0; j < columns; j++)
            sums[k][i * columns + j] = fused(e, from[i * row + x + j], sums[k][i * columns + j]);
      }
    UNROLLED for (int k = 0; k < many; k++)
      UNROLLED for (int i = 0; i < rows; i++)
        UNROLLED for (int j = 0; j < columns; j++)
          gradient[k * apart + (top + i) * size + left + j] += sums[k][i * columns + j];
  }
}

/* The sum of a plane, in four partial sums by column. */
INLINE vec sum_of_plane(const vec *values, int64_t height, int64_t width, int64_t border) {
  const int64_t row = row_of(width, border);
  vec sums[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
  for (int64_t y = 0; y < height; y++) {
    const vec *line = values + (y + border) * row + border;
    int64_t x = 0;
    for (; x + 4 <= width; x += 4)
      UNROLLED for (int p = 0; p < 4; p++) sums[p] += line[x + p];
    for (; x < width; x++) sums[x & 3] += line[x];
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static void kernel_gradients(const Work *work) {
  const Step *s = work->step;
  const int64_t area = s->kernel * s->kernel, plane = plane_of(s->height, s->width, work->border);
  const int64_t apart = s->in * area;
  for (int64_t k = 0; k < s->out;) {
    const int pair = REGISTERS == 32 && k + 2 <= s->out;
    for (int64_t c = 0; c < s->in; c++) {
      const vec *in = work->planes + s->from + c * plane, *error = work->planes + s->to_error + k * plane;
      vec *gradient = work->gradient + s->weight + (k * s->in + c) * area;
#define CORRELATE(size, top, left, rows, columns, many) \
  correlate(in, error, gradient, apart, s->height, s->width, work->border, size, top, left, rows, columns, many)
      if (s->kernel == 3 && pair)
        CORRELATE(3, 0, 0, 3, 3, 2);
      else if (s->kernel == 3)
        CORRELATE(3, 0, 0, 3, 3, 1);
      else
        for (int i = 0; i < s->kernel; i++)
          for (int j = 0; j < s->kernel; j++)
            if (pair)
              CORRELATE(s->kernel, i, j, 1, 1, 2);
            else
              CORRELATE(s->kernel, i, j, 1, 1, 1);
    }
    k += pair ? 2 : 1;
  }
}

/* Multiplies the errors by the slope of the activation where what left is not positive. */
static void through_activation(const vec *left, vec *error, int64_t count, float slope) {
  if (slope == 1.0f) return;
  for (int64_t i = 0; i < count; i++) error[i] = choose(left[i] > 0.0f, error[i], error[i] * slope);
}

static void convolution_back(const Work *work) {
  const Step *s = work->step;
  const int64_t plane = plane_of(s->height, s->width, work->border);
  through_activation(work->planes + s->to, work->planes + s->to_error, s->out * plane, (float)s->slope);
  kernel_gradients(work);
  if (s->bias >= 0)
    for (int64_t k = 0; k < s->out; k++)
      work->gradient[s->bias + k] =
          sum_of_plane(work->planes + s->to_error + k * plane, s->height, s->width, work->border);
  if (s->from_error >= 0)
    convolve(work->planes + s->to_error, work->turned + s->weight, 0, work->planes + s->from_error, s->out,
             s->in, s->height, s->width, work->border, s->kernel, 1.0f, (int)s->adds);
}

/* ---- transposed convolutions with kernel 2 and stride 2 ---- */

static void transposed(const Work *work) {
  const Step *s = work->step;
  const int64_t row = row_of(s->width, work->border), plane = plane_of(s->height, s->width, work->border);
  const int64_t wide = row_of(2 * s->width, work->border);
  const int64_t large = plane_of(2 * s->height, 2 * s->width, work->border);
  for (int64_t k = 0; k < s->out; k++)
    for (int64_t y = 0; y < s->height; y++)
      for (int64_t x = 0; x < s->width; x++) {
        vec sums[4];
        UNROLLED for (int t = 0; t < 4; t++) sums[t] = splat(s->bias >= 0 ? work->weights[s->bias + k] : 0.0f);
        for (int64_t c = 0; c < s->in; c++) {
          vec value = work->planes[s->from + c * plane + (y + work->border) * row + x + work->border];
          const float *kernel = work->weights + s->weight + (c * s->out + k) * 4;
          UNROLLED for (int t = 0; t < 4; t++) sums[t] = fused(splat(kernel[t]), value, sums[t]);
        }
        vec *to = work->planes + s->to + k * large + (2 * y + work->border) * wide + 2 * x + work->border;
        to[0] = sums[0], to[1] = sums[1], to[wide] = sums[2], to[wide + 1] = sums[3];
      }
}

static void transposed_back(const Work *work) {
  const Step *s = work->step;
  const int64_t row = row_of(s->width, work->border), plane = plane_of(s->height, s->width, work->border);
  const int64_t wide = row_of(2 * s->width, work->border);
  const int64_t large = plane_of(2 * s->height, 2 * s->width, work->border);
  const vec *errors = work->planes + s->to_error + work->border * wide + work->border;
  for (int64_t k = 0; k < s->out && s->bias >= 0; k++)
    work->gradient[s->bias + k] =
        sum_of_plane(work->planes + s->to_error + k * large, 2 * s->height, 2 * s->width, work->border);
  for (int64_t c = 0; c < s->in; c++)
    for (int64_t k = 0; k < s->out; k++) {
      const int64_t place = (c * s->out + k) * 4;
      const float *kernel = work->weights + s->weight + place;
      const int first = k == 0 && !s->adds;
      vec sums[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
      for (int64_t y = 0; y < s->height; y++)
        for (int64_t x = 0; x < s->width; x++) {
          const vec *e = errors + k * large + 2 * y * wide + 2 * x;
          const int64_t here = c * plane + (y + work->border) * row + x + work->border;
          vec value = work->planes[s->from + here], seen[4] = {e[0], e[1], e[wide], e[wide + 1]};
          vec sum = splat(0.0f);
          if (!first) sum = work->planes[s->from_error + here];
          UNROLLED for (int t = 0; t < 4; t++) sums[t] = fused(value, seen[t], sums[t]);
          UNROLLED for (int t = 0; t < 4; t++) sum = fused(splat(kernel[t]), seen[t], sum);
          work->planes[s->from_error + here] = sum;
        }
      UNROLLED for (int t = 0; t < 4; t++) work->gradient[s->weight + place + t] = sums[t];
    }
}

/* ---- group norm, with an activation ---- */

static void norm(const Work *work) {
  const Step *s = work->step;
  const int64_t row = row_of(s->width, work->border), plane = plane_of(s->height, s->width, work->border);
  const int64_t channels = s->in / s->groups;
  const float count = (float)(channels * s->height * s->width), slope = (float)s->slope;
  for (int64_t g = 0; g < s->groups; g++) {
    vec total = splat(0.0f), square = splat(0.0f);
    for (int64_t c = g * channels; c < (g + 1) * channels; c++)
      total += sum_of_plane(work->planes + s->from + c * plane, s->height, s->width, work->border);
    vec mean = total / count;
    for (int64_t c = g * channels; c < (g + 1) * channels; c++)
      for (int64_t y = 0; y < s->height; y++) {
        const vec *from = work->planes + s->from + c * plane + (y + work->border) * row + work->border;
        vec sums[2] = {splat(0.0f), splat(0.0f)};
        for (int64_t x = 0; x < s->width; x++) {
          vec away = from[x] - mean;
          sums[x & 1] = fused(away, away, sums[x & 1]);
        }
        square += sums[0] + sums[1];
      }
    vec inverse = 1.0f / square_root(square / count + (float)s->first);
    work->planes[s->inverse + g] = inverse;
    for (int64_t c = g * channels; c < (g + 1) * channels; c++) {
      const vec gain = splat(work->weights[s->weight + c]), shift = splat(work->weights[s->bias + c]);
      for (int64_t y = 0; y < s->height; y++) {
        const int64_t line = c * plane + (y + work->border) * row + work->border;
        const vec *from = work->planes + s->from + line;
        vec *normed = work->planes + s->normed + line, *to = work->planes + s->to + line;
        for (int64_t x = 0; x < s->width; x++) {
          vec unit = (from[x] - mean) * inverse, left = fused(unit, gain, shift);
          normed[x] = unit;
          to[x] = choose(left > 0.0f, left, left * slope);
        }
      }
    }
  }
}

static void norm_back(const Work *work) {
  const Step *s = work->step;
  const int64_t row = row_of(s->width, work->border), plane = plane_of(s->height, s->width, work->border);
  const int64_t channels = s->in / s->groups;
  const float count = (float)(channels * s->height * s->width), slope = (float)s->slope;
  for (int64_t g = 0; g < s->groups; g++) {
    vec straight = splat(0.0f), along = splat(0.0f), inverse = work->planes[s->inverse + g];
    for (int64_t c = g * channels; c < (g + 1) * channels; c++) {
      vec of_gain[2] = {splat(0.0f), splat(0.0f)}, of_shift[2] = {splat(0.0f), splat(0.0f)};
      for (int64_t y = 0; y < s->height; y++) {
        const int64_t line = c * plane + (y + work->border) * row + work->border;
        const vec *normed = work->planes + s->normed + line, *to = work->planes + s->to + line;
        vec *error = work->planes + s->to_error + line;
        for (int64_t x = 0; x < s->width; x++) {
          vec e = choose(to[x] > 0.0f, error[x], error[x] * slope);
          error[x] = e;
          of_shift[x & 1] += e;
          of_gain[x & 1] = fused(e, normed[x], of_gain[x & 1]);
        }
      }
      vec gain = of_gain[0] + of_gain[1], shift = of_shift[0] + of_shift[1];
      work->gradient[s->weight + c] = gain, work->gradient[s->bias + c] = shift;
      vec factor = splat(work->weights[s->weight + c]);
      straight = fused(shift, factor, straight);
      along = fused(gain, factor, along);
    }
    straight /= count, along /= count;
    for (int64_t c = g * channels; c < (g + 1) * channels; c++) {
      const vec factor = splat(work->weights[s->weight + c]);
      for (int64_t y = 0; y < s->height; y++) {
        const int64_t line = c * plane + (y + work->border) * row + work->border;
        const vec *normed = work->planes + s->normed + line;
        const vec *error = work->planes + s->to_error + line;
        vec *to = work->planes + s->from_error + line;
        for (int64_t x = 0; x < s->width; x++) {
          vec sum = fused(error[x], factor, -fused(normed[x], along, straight)) * inverse;
          if (s->adds) sum += to[x];
          to[x] = sum;
        }
      }
    }
  }
}

/* ---- pooling: the largest of 2 x 2; of equal ones the first in C order ---- */

static void pool(const Work *work) {
  const Step *s = work->step;
  const int64_t row = row_of(s->width, work->border), plane = plane_of(s->height, s->width, work->border);
  const int64_t half = row_of(s->width / 2, work->border);
  const int64_t small = plane_of(s->height / 2, s->width / 2, work->border);
  for (int64_t c = 0; c < s->in; c++)
    for (int64_t y = 0; y < s->height / 2; y++) {
      const vec *from = work->planes + s->from + c * plane + (2 * y + work->border) * row + work->border;
      vec *to = work->planes + s->to + c * small + (y + work->border) * half + work->border;
      for (int64_t x = 0; x < s->width / 2; x++)
        to[x] = larger(larger(from[2 * x], from[2 * x + 1]), larger(from[row + 2 * x], from[row + 2 * x + 1]));
    }
}

static void pool_back(const Work *work) {
  const Step *s = work->step;
  const int64_t row = row_of(s->width, work->border), plane = plane_of(s->height, s->width, work->border);
  const int64_t half = row_of(s->width / 2, work->border);
  const int64_t small = plane_of(s->height / 2, s->width / 2, work->border);
  const int64_t steps[4] = {0, 1, row, row + 1};
  for (int64_t c = 0; c < s->in; c++)
    for (int64_t y = 0; y < s->height / 2; y++)
      for (int64_t x = 0; x < s->width / 2; x++) {
        const int64_t line = c * plane + (2 * y + work->border) * row + 2 * x + work->border;
        const int64_t there = c * small + (y + work->border) * half + x + work->border;
        const vec *from = work->planes + s->from + line, most = work->planes[s->to + there];
        vec *to = work->planes + s->from_error + line, error = work->planes[s->to_error + there];
        UNROLLED for (int t = 0; t < 4; t++) {
          const ivec here = from[steps[t]] == most;
          vec share = choose(here, error, splat(0.0f));
          error = choose(here, splat(0.0f), error);
          if (s->adds) share += to[steps[t]];
          to[steps[t]] = share;
        }
      }
}

/* ---- losses of masks; a target that is not a number marks a pixel without a point ---- */

INLINE vec chance_of(vec logit) {
  vec e = exponential(-choose(logit > 0.0f, logit, -logit)), likely = 1.0f / (1.0f + e);
  return choose(logit > 0.0f, likely, e * likely);
}

static void dice(const Work *work) {
  const Step *s = work->step;
  const int64_t row = row_of(s->width, work->border);
  const vec none = splat(0.0f), one = splat(1.0f);
  vec both = none, mine = none, wanted = none;
  for (int64_t y = 0; y < s->height; y++) {
    vec of_row[3] = {none, none, none};
    for (int64_t x = 0; x < s->width; x++) {
      const vec target = work->target[y * s->width + x];
      const int64_t here = (y + work->border) * row + x + work->border;
      const ivec valid = target == target;
      vec keep = choose(valid, target, none), chance = choose(valid, chance_of(work->planes[s->from + here]), none);
      work->planes[s->from_error + here] = chance;
      of_row[0] = fused(chance, keep, of_row[0]);
      of_row[1] += chance;
      of_row[2] += keep;
    }
    both += of_row[0], mine += of_row[1], wanted += of_row[2];
  }
  const vec above = fused(splat(2.0f), both, splat((float)s->first)), below = mine + wanted + (float)s->first;
  const vec scale = (float)s->factor / (below * below), twice = below + below;
  for (int64_t y = 0; y < s->height; y++)
    for (int64_t x = 0; x < s->width; x++) {
      const vec target = work->target[y * s->width + x];
      vec *error = work->planes + s->from_error + (y + work->border) * row + x + work->border;
      const ivec valid = target == target;
      vec slope = *error * (one - *error), change = fused(choose(valid, target, none), twice, -above);
      *error = -(change * scale) * slope;
    }
}

static void focal(const Work *work) {
  const Step *s = work->step;
  const int64_t row = row_of(s->width, work->border);
  const vec none = splat(0.0f);
  const float keeps = (float)s->first, gamma = (float)s->second;
  vec count = none;
  for (int64_t i = 0; i < s->height * s->width; i++)
    count += choose(work->target[i] == work->target[i], splat(1.0f), none);
  const vec scale = (float)s->factor / larger(count, splat(1.0f));
  for (int64_t y = 0; y < s->height; y++)
    for (int64_t x = 0; x < s->width; x++) {
      const vec target = work->target[y * s->width + x];
      const ivec valid = target == target;
      const int64_t here = (y + work->border) * row + x + work->border;
      vec keep = choose(valid, target, none), sign = keep + keep - 1.0f;
      vec right = work->planes[s->from + here] * sign, away = choose(right > 0.0f, -right, right);
      vec rest = logarithm_plus_one(exponential(away)); /* softplus without its linear part */
      vec log_right = -(larger(-right, none) + rest), log_wrong = -(larger(right, none) + rest);
      vec chance = chance_of(right), share = fused(keep, splat(keeps - (1.0f - keeps)), splat(1.0f - keeps));
      vec part = fused(chance * gamma, log_right, chance - 1.0f);
      if (gamma > 0) share *= exponential(log_wrong * gamma);
      work->planes[s->from_error + here] = choose(valid, share * part * sign * scale, none);
    }
}

/* ---- a block of examples, and all blocks ---- */

static void forward(Work *work, const Plan *plan, const Step *steps) {
  for (int64_t i = 0; i < plan->steps; i++) {
    const Step *s = work->step = steps + i;
    switch (s->kind) {
      case CONVOLUTION:
        convolve(work->planes + s->from, work->weights + s->weight, s->bias >= 0 ? work->weights + s->bias : 0,
                 work->planes + s->to, s->in, s->out, s->height, s->width, work->border, s->kernel,
                 (float)s->slope, 0);
        break;
      case NORM: norm(work); break;
      case POOL: pool(work); break;
      case TRANSPOSED: transposed(work); break;
      case DICE: dice(work); break;
      case FOCAL: focal(work); break;
    }
  }
}

static void backward(Work *work, const Plan *plan, const Step *steps) {
  for (int64_t i = plan->steps - 1; i >= 0; i--) {
    const Step *s = work->step = steps + i;
    switch (s->kind) {
      case CONVOLUTION: convolution_back(work); break;
      case NORM: norm_back(work); break;
      case POOL: pool_back(work); break;
      case TRANSPOSED: transposed_back(work); break;
    }
  }
}

/* Writes images of shape (channels, height, width) into planes, one example in each lane. */
static void enter(const Plan *plan, const float *inputs, const float *targets, int64_t count, vec *planes,
                  vec *target) {
  const int64_t pixels = plan->height * plan->width, size = plan->channels * pixels;
  const int64_t row = row_of(plan->width, plan->border), plane = plane_of(plan->height, plan->width, plan->border);
  const float *from[LANES], *wanted[LANES];
  EACH_LANE {
    const int64_t example = lane < count ? lane : count - 1; /* the last one fills the block */
    from[lane] = inputs + example * size, wanted[lane] = targets + example * pixels;
  }
  for (int64_t c = 0; c < plan->channels; c++)
    for (int64_t y = 0; y < plan->height; y++) {
      float *to = (float *)(planes + c * plane + (y + plan->border) * row + plan->border);
      const int64_t line = c * pixels + y * plan->width;
      for (int64_t x = 0; x < plan->width; x++) EACH_LANE to[x * LANES + lane] = from[lane][line + x];
    }
  float *to = (float *)target;
  for (int64_t i = 0; i < pixels; i++) EACH_LANE to[i * LANES + lane] = wanted[lane][i];
}

/* Adds the clipped gradients of a block to partial sums, shape (owners, weights, 16). Example n of an
   owner belongs to its sum n modulo 16. */
static void add_clipped(const Plan *plan, const vec *gradient, const int64_t *owners, const int64_t *places,
                        int64_t count, double *sums) {
  double squares[LANES] = {0}, factors[LANES];
  for (int64_t i = 0; i < plan->weights; i++)
    EACH_LANE squares[lane] += (double)gradient[i][lane] * (double)gradient[i][lane];
  EACH_LANE {
    double length = sqrt(squares[lane]), factor = 1.0;
    if (plan->clip >= 0) {
      factor = plan->automatic ? plan->clip / (length + 0.01) : plan->clip / length;
      if (!plan->automatic && factor > 1.0) factor = 1.0;
      factor *= 1.0 - 4.76837158203125e-7; /* 2^-21: rounding must not exceed the clip */
      if (!(length - length == 0) || !(factor >= 1.17549435e-38)) factor = 0.0;
    }
    factors[lane] = factor;
  }
  double *to[LANES];
  EACH_LANE to[lane] = lane < count && factors[lane] != 0.0
                           ? sums + owners[lane] * plan->weights * PARTIAL_SUMS + places[lane] % PARTIAL_SUMS
                           : 0;
  for (int64_t i = 0; i < plan->weights; i++)
    for (int64_t lane = 0; lane < count; lane++)
      if (to[lane]) to[lane][i * PARTIAL_SUMS] += factors[lane] * (double)gradient[i][lane];
}

/* Kernels for the errors of what enters: flipped, and with the channels exchanged. */
static void turn_kernels(const Plan *plan, const Step *steps, const float *weights, float *turned) {
  for (const Step *s = steps; s < steps + plan->steps; s++) {
    if (s->kind != CONVOLUTION) continue;
    const int64_t area = s->kernel * s->kernel;
    for (int64_t k = 0; k < s->out; k++)
      for (int64_t c = 0; c < s->in; c++)
        for (int64_t t = 0; t < area; t++)
          turned[s->weight + (c * s->out + k) * area + area - 1 - t] = weights[s->weight + (k * s->in + c) * area + t];
  }
}

EXPORT int64_t lanes(void) { return LANES; }

/* Computes the gradients of `count` examples. If `each` is given, the gradient
   of every example is written to it, shape (count, weights). Otherwise `sums` gets the sum of the
   clipped gradients of each owner, shape (owned, weights); `owners` and `places` say whose example
   each is, and which of the owner's examples. `planes`, `gradient` and `target` are aligned rooms; the borders of `planes`
   are zero. `turned` has room for the weights, and `partial` for 16 sums of each owner. */
EXPORT void gradients(const Plan *plan, const Step *steps, const float *weights, const float *inputs,
                      const float *targets, const int64_t *owners, const int64_t *places,
                      int64_t count, int64_t owned, float *planes, float *gradient, float *target, float *turned,
                      double *partial, double *sums, float *each) {
  Work work = {steps, weights, turned, (vec *)planes, (vec *)gradient, (const vec *)target, plan->border};
  const int64_t pixels = plan->height * plan->width;
  turn_kernels(plan, steps, weights, turned);
  if (!each) memset(partial, 0, (size_t)(owned * plan->weights) * PARTIAL_SUMS * sizeof(double));
  for (int64_t start = 0; start < count; start += LANES) {
    const int64_t some = count - start < LANES ? count - start : LANES;
    enter(plan, inputs + start * plan->channels * pixels, targets + start * pixels, some, work.planes + plan->input,
          (vec *)target);
    forward(&work, plan, steps);
    backward(&work, plan, steps);
    if (each) {
      for (int64_t i = 0; i < plan->weights; i++)
        for (int64_t lane = 0; lane < some; lane++)
          each[(start + lane) * plan->weights + i] = work.gradient[i][lane];
    } else
      add_clipped(plan, work.gradient, owners + start, places + start, some, partial);
  }
  for (int64_t i = 0; i < owned * plan->weights && !each; i++) {
    sums[i] = 0.0;
    for (int64_t t = 0; t < PARTIAL_SUMS; t++) sums[i] += partial[i * PARTIAL_SUMS + t];
  }
}
