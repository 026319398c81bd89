// SPDX-License-Identifier: Apache-2.0
#include "Rows.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

// Samples that alternate are taken apart while they are loaded: bytes of one channel, pairs of bytes of two.

#define BYTES(value) vreinterpretq_u8_u16(value)
#define PAIRS(value) vreinterpretq_u16_u8(value)

INLINE void load_2(const uint8_t *from, const int channels, uint8x16_t to[2]) {
  if (channels == 1) {
    uint8x16x2_t all = vld2q_u8(from);
    for (int i = 0; i < 2; i++) to[i] = all.val[i];
  } else {
    uint16x8x2_t all = vld2q_u16((const uint16_t *)from);
    for (int i = 0; i < 2; i++) to[i] = BYTES(all.val[i]);
  }
}

INLINE void load_3(const uint8_t *from, const int channels, uint8x16_t to[3]) {
  if (channels == 1) {
    uint8x16x3_t all = vld3q_u8(from);
    for (int i = 0; i < 3; i++) to[i] = all.val[i];
  } else {
    uint16x8x3_t all = vld3q_u16((const uint16_t *)from);
    for (int i = 0; i < 3; i++) to[i] = BYTES(all.val[i]);
  }
}

INLINE void load_4(const uint8_t *from, const int channels, uint8x16_t to[4]) {
  if (channels == 1) {
    uint8x16x4_t all = vld4q_u8(from);
    for (int i = 0; i < 4; i++) to[i] = all.val[i];
  } else {
    uint16x8x4_t all = vld4q_u16((const uint16_t *)from);
    for (int i = 0; i < 4; i++) to[i] = BYTES(all.val[i]);
  }
}

INLINE void store_2(uint8_t *to, const int channels, uint8x16_t first, uint8x16_t second) {
  if (channels == 1) {
    const uint8x16x2_t all = {{first, second}};
    vst2q_u8(to, all);
  } else {
    const uint16x8x2_t all = {{PAIRS(first), PAIRS(second)}};
    vst2q_u16((uint16_t *)to, all);
  }
}

INLINE void store_3(uint8_t *to, const int channels, const uint8x16_t from[3]) {
  if (channels == 1) {
    const uint8x16x3_t all = {{from[0], from[1], from[2]}};
    vst3q_u8(to, all);
  } else {
    const uint16x8x3_t all = {{PAIRS(from[0]), PAIRS(from[1]), PAIRS(from[2])}};
    vst3q_u16((uint16_t *)to, all);
  }
}

/// 16 sums.
struct sums {
  uint16x8_t low, high;
};

INLINE struct sums weighted(uint8x16_t first, const int of_first, uint8x16_t second, const int of_second) {
  const uint8x8_t one = vdup_n_u8((uint8_t)of_first), two = vdup_n_u8((uint8_t)of_second);
  return (struct sums){
      vmlal_u8(vmull_u8(vget_low_u8(first), one), vget_low_u8(second), two),
      vmlal_u8(vmull_u8(vget_high_u8(first), one), vget_high_u8(second), two)};
}

INLINE struct sums added(struct sums first, const int of_first, struct sums second, const int of_second) {
  return (struct sums){
      vmlaq_n_u16(vmulq_n_u16(first.low, (uint16_t)of_first), second.low, (uint16_t)of_second),
      vmlaq_n_u16(vmulq_n_u16(first.high, (uint16_t)of_first), second.high, (uint16_t)of_second)};
}

INLINE uint8x16_t ninth(struct sums sums) {
  int16x8_t low = vqrdmulhq_n_s16(vreinterpretq_s16_u16(sums.low), NINTH);
  int16x8_t high = vqrdmulhq_n_s16(vreinterpretq_s16_u16(sums.high), NINTH);
  return vcombine_u8(vqmovun_s16(low), vqmovun_s16(high));
}

INLINE uint8x16_t sixteenth(struct sums sums) {
  return vcombine_u8(vrshrn_n_u16(sums.low, 4), vrshrn_n_u16(sums.high, 4));
}

INLINE uint8x16_t quarter(struct sums sums) {
  return vcombine_u8(vrshrn_n_u16(sums.low, 2), vrshrn_n_u16(sums.high, 2));
}

// MARK: ratios of their own

INLINE void three_to_two_of(const uint8_t *const from[3], uint8_t *const to[2], int count, const int channels) {
  EACH_BLOCK(i, 32, count) {
    struct sums left[3], right[3];
    for (int row = 0; row < 3; row++) {
      uint8x16_t samples[3];
      load_3(from[row] + i / 2 * 3, channels, samples);
      left[row] = weighted(samples[0], 2, samples[1], 1);
      right[row] = weighted(samples[1], 1, samples[2], 2);
    }
    store_2(to[0] + i, channels, ninth(added(left[0], 2, left[1], 1)), ninth(added(right[0], 2, right[1], 1)));
    store_2(to[1] + i, channels, ninth(added(left[1], 1, left[2], 2)), ninth(added(right[1], 1, right[2], 2)));
  }
}

static void three_to_two(const uint8_t *const from[3], uint8_t *const to[2], int count, int channels) {
  if (count < 32) return rows_plain.three_to_two(from, to, count, channels);
  return channels == 1 ? three_to_two_of(from, to, count, 1) : three_to_two_of(from, to, count, 2);
}

INLINE void four_to_three_of(const uint8_t *const from[4], uint8_t *const to[3], int count, const int channels) {
  EACH_BLOCK(i, 48, count) {
    struct sums sums[4][3];
    for (int row = 0; row < 4; row++) {
      uint8x16_t samples[4];
      load_4(from[row] + i / 3 * 4, channels, samples);
      for (int k = 0; k < 3; k++) sums[row][k] = weighted(samples[k], 3 - k, samples[k + 1], 1 + k);
    }
    for (int row = 0; row < 3; row++) {
      uint8x16_t made[3];
      for (int k = 0; k < 3; k++) made[k] = sixteenth(added(sums[row][k], 3 - row, sums[row + 1][k], 1 + row));
      store_3(to[row] + i, channels, made);
    }
  }
}

static void four_to_three(const uint8_t *const from[4], uint8_t *const to[3], int count, int channels) {
  if (count < 48) return rows_plain.four_to_three(from, to, count, channels);
  return channels == 1 ? four_to_three_of(from, to, count, 1) : four_to_three_of(from, to, count, 2);
}

INLINE void one_to_two_of(const uint8_t *const from[2], uint8_t *const to[2], int count, const int channels) {
  // Between each two old positions lie two new ones.
  const int between = count - channels;
  EACH_BLOCK(i, 16, between) {
    struct sums left[2], right[2];
    for (int row = 0; row < 2; row++) {
      uint8x16_t here = vld1q_u8(from[row] + i), next = vld1q_u8(from[row] + i + channels);
      left[row] = weighted(here, 3, next, 1);
      right[row] = weighted(here, 1, next, 3);
    }
    for (int row = 0; row < 2; row++) {
      uint8x16_t first = sixteenth(added(left[0], row ? 1 : 3, left[1], row ? 3 : 1));
      uint8x16_t second = sixteenth(added(right[0], row ? 1 : 3, right[1], row ? 3 : 1));
      store_2(to[row] + channels + i * 2, channels, first, second);
    }
  }
  ends_of_two(from, to, count, channels);
}

static void one_to_two(const uint8_t *const from[2], uint8_t *const to[2], int count, int channels) {
  if (count < 18) return rows_plain.one_to_two(from, to, count, channels);
  return channels == 1 ? one_to_two_of(from, to, count, 1) : one_to_two_of(from, to, count, 2);
}

INLINE void shrink_of(const uint8_t *const *from, const int ratio, uint8_t *to, int count, const int channels) {
  EACH_BLOCK(i, 16, count) {
    struct sums sum = {vdupq_n_u16(0), vdupq_n_u16(0)};
    for (int row = 0; row < ratio; row++) {
      uint8x16_t samples[4];
      if (ratio == 2) load_2(from[row] + i * 2, channels, samples);
      if (ratio == 3) load_3(from[row] + i * 3, channels, samples);
      if (ratio == 4) load_4(from[row] + i * 4, channels, samples);
      for (int k = 0; k < ratio; k++) {
        sum.low = vaddw_u8(sum.low, vget_low_u8(samples[k]));
        sum.high = vaddw_u8(sum.high, vget_high_u8(samples[k]));
      }
    }
    vst1q_u8(to + i, ratio == 2 ? quarter(sum) : ratio == 3 ? ninth(sum) : sixteenth(sum));
  }
}

static void shrink(const uint8_t *const *from, int ratio, uint8_t *to, int count, int channels) {
  if (count < 16) return rows_plain.shrink(from, ratio, to, count, channels);
  switch (ratio * 2 + channels) {
    case 5: return shrink_of(from, 2, to, count, 1);
    case 6: return shrink_of(from, 2, to, count, 2);
    case 7: return shrink_of(from, 3, to, count, 1);
    case 8: return shrink_of(from, 3, to, count, 2);
    case 9: return shrink_of(from, 4, to, count, 1);
    default: return shrink_of(from, 4, to, count, 2);
  }
}

// MARK: any ratio

static void weigh(const uint8_t *const *from, const uint16_t *weight, int taps, int16_t *to, int count) {
  if (count < 8) return rows_plain.weigh(from, weight, taps, to, count);
  EACH_BLOCK(i, 8, count) {
    uint16x8_t sum = vdupq_n_u16((uint16_t)(taps / 2));
    for (int tap = 0; tap < taps; tap++) {
      uint16x8_t samples = vmovl_u8(vld1_u8(from[tap] + i));
      uint32x4_t low = vmull_n_u16(vget_low_u16(samples), weight[tap]);
      uint32x4_t high = vmull_n_u16(vget_high_u16(samples), weight[tap]);
      sum = vaddq_u16(sum, vcombine_u16(vshrn_n_u32(low, 8), vshrn_n_u32(high, 8)));
    }
    vst1q_s16(to + i, vreinterpretq_s16_u16(sum));
  }
}

/// Four sums in two halves each, still to be added to their neighbours.
struct products {
  int32x4_t low, high;
};

INLINE struct products multiplied(struct products sum, int16x8_t samples, const int16_t *factor) {
  int16x8_t factors = vld1q_s16(factor);
  return (struct products){
      vmlal_s16(sum.low, vget_low_s16(samples), vget_low_s16(factors)), vmlal_high_s16(sum.high, samples, factors)};
}

INLINE int16x8_t picked(int16x8_t samples, const uint8_t *order) {
  return vreinterpretq_s16_u8(vqtbl1q_u8(vreinterpretq_u8_s16(samples), vld1q_u8(order)));
}

/// Half a block of four new samples.
INLINE int32x4_t shared_sums(const int16_t *from, const struct filter *filter, int block, int half) {
  const int16_t *at = from + filter->start[block * 2 + half];
  const uint8_t *mask = filter->mask + (ptrdiff_t)block * 32 + half * 16;
  const int16_t *factor = filter->factor + (ptrdiff_t)block * filter->steps * 16 + half * 8;
  struct products sum = {vdupq_n_s32(0), vdupq_n_s32(0)};
  for (int step = 0; step < filter->steps; step++) {
    // The same mask serves all: a step further is two taps further.
    sum = multiplied(sum, picked(vld1q_s16(at + step * 2 * filter->channels), mask), factor + step * 16);
  }
  return vpaddq_s32(sum.low, sum.high);
}

/// The same where two new samples share a load, which holds all their taps.
INLINE int32x4_t paired_sums(const int16_t *from, const struct filter *filter, int block, int half) {
  int32x4_t pairs[2];
  for (int i = 0; i < 2; i++) {
    const ptrdiff_t row = (ptrdiff_t)block * 2 + i;
    int16x8_t samples = vld1q_s16(from + filter->start[block * 4 + half * 2 + i]);
    struct products sum = {vdupq_n_s32(0), vdupq_n_s32(0)};
    sum = multiplied(sum, picked(samples, filter->mask + row * 32 + half * 16), filter->factor + row * 16 + half * 8);
    pairs[i] = vpaddq_s32(sum.low, sum.high);
  }
  return vpaddq_s32(pairs[0], pairs[1]);
}

/// The same where each position has loads of its own.
INLINE int32x4_t wide_sums(const int16_t *from, const struct filter *filter, int block, int half) {
  static const uint8_t order[16] = {0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15};
  const int lanes = 4 / filter->channels;
  int32x4_t sums[4];
  for (int i = 0; i < lanes; i++) {
    const int16_t *at = from + filter->start[(block * 2 + half) * lanes + i];
    struct products sum = {vdupq_n_s32(0), vdupq_n_s32(0)};
    for (int step = 0; step < filter->steps; step++) {
      int16x8_t samples = vld1q_s16(at + step * LOAD);
      if (filter->channels == 2) samples = picked(samples, order);
      ptrdiff_t row = ((ptrdiff_t)block * filter->steps + step) * lanes + i;
      sum = multiplied(sum, samples, filter->factor + row * 16 + half * 8);
    }
    sums[i] = vaddq_s32(sum.low, sum.high);
  }
  if (filter->channels == 2) return vpaddq_s32(sums[0], sums[1]);
  return vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3]));
}

INLINE int32x4_t sums_of(const int16_t *from, const struct filter *filter, int block, int half) {
  switch (filter->way) {
    case SHARED: return shared_sums(from, filter, block, half);
    case PAIRED: return paired_sums(from, filter, block, half);
    default: return wide_sums(from, filter, block, half);
  }
}

static void gather(const int16_t *from, const struct filter *filter, int16_t *to) {
  for (int block = 0; block < filter->blocks; block++) {
    for (int half = 0; half < 2; half++) {
      vst1_s16(to + block * BLOCK + half * 4, vrshrn_n_s32(sums_of(from, filter, block, half), 14));
    }
  }
}

static void gather_bytes(const int16_t *from, const struct filter *filter, uint8_t *to) {
  for (int block = 0; block * BLOCK < filter->count; block++) {
    int16x4_t first = vmovn_s32(vrshrq_n_s32(sums_of(from, filter, block, 0), 21));
    int16x4_t second = vmovn_s32(vrshrq_n_s32(sums_of(from, filter, block, 1), 21));
    uint8x8_t samples = vqmovun_s16(vcombine_s16(first, second));
    int left = filter->count - block * BLOCK;
    if (left >= BLOCK) {
      vst1_u8(to + block * BLOCK, samples);
    } else {
      uint8_t end[BLOCK];
      vst1_u8(end, samples);
      memcpy(to + block * BLOCK, end, (size_t)left);
    }
  }
}

static void blend(const int16_t *first, const int16_t *second, int weight, uint8_t *to, int count) {
  if (count < 8) return rows_plain.blend(first, second, weight, to, count);
  EACH_BLOCK(i, 8, count) {
    int16x8_t above = vld1q_s16(first + i);
    int16x8_t more = vqrdmulhq_n_s16(vsubq_s16(vld1q_s16(second + i), above), (int16_t)weight);
    vst1_u8(to + i, vqrshrun_n_s16(vaddq_s16(above, more), 7));
  }
}

static void shorten(const uint16_t *from, uint8_t *to, int count) {
  if (count < 8) return rows_plain.shorten(from, to, count);
  EACH_BLOCK(i, 8, count) vst1_u8(to + i, vqrshrn_n_u16(vld1q_u16(from + i), 8));
}

const struct rows rows_neon = {
    .name = "NEON",
    .three_to_two = three_to_two,
    .four_to_three = four_to_three,
    .one_to_two = one_to_two,
    .shrink = shrink,
    .weigh = weigh,
    .gather = gather,
    .gather_bytes = gather_bytes,
    .blend = blend,
    .shorten = shorten,
};
#endif
