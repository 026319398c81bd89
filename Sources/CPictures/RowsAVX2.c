// SPDX-License-Identifier: Apache-2.0
#include "Rows.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline, target("avx2")))

/// A register of two loads. An instruction works on each half by itself.
INLINE __m256i both(const void *low, const void *high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)), _mm_loadu_si128(high), 1);
}

INLINE __m256i twice(__m128i value) { return _mm256_broadcastsi128_si256(value); }

/// `order` in both halves, `shift` bytes further in the upper one: where a load would end behind the line, it begins as much earlier.
INLINE __m256i shifted(__m128i order, int shift) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(order), _mm_add_epi8(order, _mm_set1_epi8((char)shift)), 1);
}

/// 16 samples of 16 bit to bytes: those of `samples` in their order.
INLINE __m128i bytes(__m256i samples) {
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packus_epi16(samples, samples), 0xd8));
}

// MARK: ratios of their own

AVX2 static void three_to_two(const uint8_t *const from[3], uint8_t *const to[2], int count, int channels) {
  if (count < 16) return rows_plain.three_to_two(from, to, count, channels);
  // Twelve samples become eight. Each pair of bytes that is multiplied and added is one new sample.
  const __m256i order = shifted(
      channels == 1 ? _mm_setr_epi8(0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11)
                    : _mm_setr_epi8(0, 2, 1, 3, 2, 4, 3, 5, 6, 8, 7, 9, 8, 10, 9, 11), 4);
  const __m256i weights =
      channels == 1 ? _mm256_set1_epi32(0x02010102) : _mm256_set1_epi64x(0x0201020101020102);
  const __m256i ninth = _mm256_set1_epi16(NINTH);
  EACH_BLOCK(i, 16, count) {
    const int at = i / 2 * 3;
    __m256i sums[3];
    for (int row = 0; row < 3; row++) {
      __m256i samples = _mm256_shuffle_epi8(both(from[row] + at, from[row] + at + 8), order);
      sums[row] = _mm256_maddubs_epi16(samples, weights);
    }
    __m256i above = _mm256_add_epi16(_mm256_add_epi16(sums[0], sums[0]), sums[1]);
    __m256i below = _mm256_add_epi16(_mm256_add_epi16(sums[2], sums[2]), sums[1]);
    _mm_storeu_si128((__m128i *)(to[0] + i), bytes(_mm256_mulhrs_epi16(above, ninth)));
    _mm_storeu_si128((__m128i *)(to[1] + i), bytes(_mm256_mulhrs_epi16(below, ninth)));
  }
}

/// What becomes of one line's part of 64 bytes: 48 sums, eight in each half of a register. Eight of them end where the next begin.
INLINE void four_to_three_sums(const uint8_t *from, const __m256i orders[3], const __m256i weights[3], __m256i sums[3]) {
  __m256i first = _mm256_loadu_si256((const __m256i *)from), second = _mm256_loadu_si256((const __m256i *)(from + 32));
  __m256i begin = _mm256_permute2x128_si256(first, second, 0x20), end = _mm256_permute2x128_si256(first, second, 0x31);
  // From the first, the tenth and the sixteenth byte on.
  __m256i samples[3] = {begin, _mm256_alignr_epi8(end, begin, 10), end};
  for (int i = 0; i < 3; i++) sums[i] = _mm256_maddubs_epi16(_mm256_shuffle_epi8(samples[i], orders[i]), weights[i]);
}

/// `first` is added three times or once, `second` the other way round, or both twice.
INLINE __m256i sixteenth(__m256i first, __m256i second, const int of_first) {
  __m256i sum = _mm256_add_epi16(first, second);
  sum = of_first == 2 ? _mm256_add_epi16(sum, sum)
                      : _mm256_add_epi16(sum, _mm256_slli_epi16(of_first == 3 ? first : second, 1));
  return _mm256_srli_epi16(_mm256_add_epi16(sum, _mm256_set1_epi16(8)), 4);
}

INLINE void put_24s(const __m256i samples[3], uint8_t *to) {
  __m256i most = _mm256_packus_epi16(samples[0], samples[1]), rest = _mm256_packus_epi16(samples[2], samples[2]);
  _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(most));
  _mm_storel_epi64((__m128i *)(to + 16), _mm256_castsi256_si128(rest));
  _mm_storeu_si128((__m128i *)(to + 24), _mm256_extracti128_si256(most, 1));
  _mm_storel_epi64((__m128i *)(to + 40), _mm256_extracti128_si256(rest, 1));
}

AVX2 static void four_to_three(const uint8_t *const from[4], uint8_t *const to[3], int count, int channels) {
  if (count < 48) return rows_plain.four_to_three(from, to, count, channels);
  // Which old samples each new one lies between, and how much of them it has, begins anew with each third new one.
  const __m128i one_channel[3] = {
      _mm_setr_epi8(0, 1, 1, 2, 2, 3, 4, 5, 5, 6, 6, 7, 8, 9, 9, 10),
      _mm_setr_epi8(0, 1, 2, 3, 3, 4, 4, 5, 6, 7, 7, 8, 8, 9, 10, 11),
      _mm_setr_epi8(5, 6, 6, 7, 8, 9, 9, 10, 10, 11, 12, 13, 13, 14, 14, 15)};
  const __m128i two_channels[3] = {
      _mm_setr_epi8(0, 2, 1, 3, 2, 4, 3, 5, 4, 6, 5, 7, 8, 10, 9, 11),
      _mm_setr_epi8(0, 2, 1, 3, 2, 4, 3, 5, 6, 8, 7, 9, 8, 10, 9, 11),
      _mm_setr_epi8(4, 6, 5, 7, 8, 10, 9, 11, 10, 12, 11, 13, 12, 14, 13, 15)};
  __m256i orders[3], weights[3];
  for (int i = 0; i < 3; i++) {
    orders[i] = twice(channels == 1 ? one_channel[i] : two_channels[i]);
    int8_t weight[16];
    for (int new = 0; new < 8; new++) {
      int phase = (i * 8 + new) / channels % 3;
      weight[new * 2] = (int8_t)(3 - phase);
      weight[new * 2 + 1] = (int8_t)(1 + phase);
    }
    weights[i] = twice(_mm_loadu_si128((const __m128i *)weight));
  }
  EACH_BLOCK(i, 48, count) {
    __m256i sums[4][3], made[3];
    for (int row = 0; row < 4; row++) four_to_three_sums(from[row] + i / 3 * 4, orders, weights, sums[row]);
    for (int k = 0; k < 3; k++) made[k] = sixteenth(sums[0][k], sums[1][k], 3);
    put_24s(made, to[0] + i);
    for (int k = 0; k < 3; k++) made[k] = sixteenth(sums[1][k], sums[2][k], 2);
    put_24s(made, to[1] + i);
    for (int k = 0; k < 3; k++) made[k] = sixteenth(sums[2][k], sums[3][k], 1);
    put_24s(made, to[2] + i);
  }
}

AVX2 static void one_to_two(const uint8_t *const from[2], uint8_t *const to[2], int count, int channels) {
  if (count < 18) return rows_plain.one_to_two(from, to, count, channels);
  const __m256i order = shifted(
      channels == 1 ? _mm_setr_epi8(0, 1, 0, 1, 1, 2, 1, 2, 2, 3, 2, 3, 3, 4, 3, 4)
                    : _mm_setr_epi8(0, 2, 1, 3, 0, 2, 1, 3, 2, 4, 3, 5, 2, 4, 3, 5), 4);
  const __m256i orders[2] = {order, _mm256_add_epi8(order, _mm256_set1_epi8((char)(8 - channels)))};
  const __m256i weights = channels == 1 ? _mm256_set1_epi32(0x03010103) : _mm256_set1_epi64x(0x0301030101030103);
  // Between each two old positions lie two new ones. The second load of a block ends with the sample behind it.
  const int between = count - channels;
  EACH_BLOCK(i, 16, between) {
    __m256i sums[2][2];
    for (int row = 0; row < 2; row++) {
      for (int part = 0; part < 2; part++) {
        __m256i samples = twice(_mm_loadu_si128((const __m128i *)(from[row] + i + part * channels)));
        sums[row][part] = _mm256_maddubs_epi16(_mm256_shuffle_epi8(samples, orders[part]), weights);
      }
    }
    for (int row = 0; row < 2; row++) {
      __m256i low = sixteenth(sums[0][0], sums[1][0], row ? 1 : 3), high = sixteenth(sums[0][1], sums[1][1], row ? 1 : 3);
      __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(low, high), 0xd8);
      _mm256_storeu_si256((__m256i *)(to[row] + channels + i * 2), packed);
    }
  }
  ends_of_two(from, to, count, channels);
}

INLINE void halve(const uint8_t *const *from, uint8_t *to, int count, const int channels) {
  const __m256i order = twice(_mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
  const __m256i ones = _mm256_set1_epi8(1), half = _mm256_set1_epi16(2);
  const uint8_t *first = from[0], *second = from[1];
  EACH_BLOCK(i, 32, count) {
    __m256i sums[2];
    for (int part = 0; part < 2; part++) {
      __m256i above = _mm256_loadu_si256((const __m256i *)(first + i * 2 + part * 32));
      __m256i below = _mm256_loadu_si256((const __m256i *)(second + i * 2 + part * 32));
      if (channels == 2) {
        above = _mm256_shuffle_epi8(above, order);
        below = _mm256_shuffle_epi8(below, order);
      }
      __m256i sum = _mm256_add_epi16(_mm256_maddubs_epi16(above, ones), _mm256_maddubs_epi16(below, ones));
      sums[part] = _mm256_srli_epi16(_mm256_add_epi16(sum, half), 2);
    }
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(sums[0], sums[1]), 0xd8);
    _mm256_storeu_si256((__m256i *)(to + i), packed);
  }
}

/// Sums of eight new samples, 32 bit. A load holds four of them.
INLINE __m256i sums_of(
    const uint8_t *const *from, const int ratio, const int channels, int low, int high, __m256i order) {
  __m256i sum = _mm256_setzero_si256();
  for (int row = 0; row < ratio; row++) {
    // Of four lines loads are neighbours, and one channel lies in order.
    __m256i samples = ratio == 4 ? _mm256_loadu_si256((const __m256i *)(from[row] + low))
                                 : both(from[row] + low, from[row] + high);
    if (ratio == 3 || channels == 2) samples = _mm256_shuffle_epi8(samples, order);
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(samples, _mm256_set1_epi8(1)));
  }
  return _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
}

/// Three or four lines to one: 48 or 64 bytes to 16.
INLINE void shrink_more(
    const uint8_t *const *from, const int ratio, uint8_t *to, int count, const int channels, __m128i order) {
  const int load = 4 * ratio, excess = 16 - load;
  // -1 stays one: bytes are added, and none of them is above 15.
  const __m128i moved = _mm_or_si128(_mm_add_epi8(order, _mm_set1_epi8((char)excess)), _mm_cmpgt_epi8(_mm_setzero_si128(), order));
  const __m256i first_order = twice(order);
  const __m256i second_order = _mm256_inserti128_si256(first_order, moved, 1);
  EACH_BLOCK(i, 16, count) {
    const int at = i * ratio;
    __m256i first = sums_of(from, ratio, channels, at, at + load, first_order);
    __m256i second = sums_of(from, ratio, channels, at + 2 * load, at + 3 * load - excess, second_order);
    // Each half of the registers: four of the first, four of the second.
    __m256i sums = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0xd8);
    sums = ratio == 3 ? _mm256_mulhrs_epi16(sums, _mm256_set1_epi16(NINTH))
                      : _mm256_srli_epi16(_mm256_add_epi16(sums, _mm256_set1_epi16(8)), 4);
    _mm_storeu_si128((__m128i *)(to + i), bytes(sums));
  }
}

AVX2 static void shrink(const uint8_t *const *from, int ratio, uint8_t *to, int count, int channels) {
  if (count < (ratio == 2 ? 32 : 16)) return rows_plain.shrink(from, ratio, to, count, channels);
  if (ratio == 2) return channels == 1 ? halve(from, to, count, 1) : halve(from, to, count, 2);
  // Samples of one channel beside each other, in fours; -1 is a zero.
  const __m128i three_of_one = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
  const __m128i three_of_two = _mm_setr_epi8(0, 2, 4, -1, 1, 3, 5, -1, 6, 8, 10, -1, 7, 9, 11, -1);
  const __m128i four_of_two = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
  if (ratio == 3) return shrink_more(from, 3, to, count, channels, channels == 1 ? three_of_one : three_of_two);
  if (channels == 1) return shrink_more(from, 4, to, count, 1, four_of_two);
  shrink_more(from, 4, to, count, 2, four_of_two);
}

// MARK: any ratio

INLINE void weigh_some(const uint8_t *const *from, const uint16_t *weight, const int taps, int16_t *to, int count) {
  const __m256i zero = _mm256_setzero_si256();
  EACH_BLOCK(i, 32, count) {
    __m256i low = _mm256_set1_epi16((short)(taps / 2)), high = low;
    for (int tap = 0; tap < taps; tap++) {
      const __m256i factor = _mm256_set1_epi16((short)weight[tap]);
      const __m256i samples = _mm256_loadu_si256((const __m256i *)(from[tap] + i));
      low = _mm256_add_epi16(low, _mm256_mulhi_epu16(_mm256_unpacklo_epi8(zero, samples), factor));
      high = _mm256_add_epi16(high, _mm256_mulhi_epu16(_mm256_unpackhi_epi8(zero, samples), factor));
    }
    // Each half of the registers was unpacked by itself.
    _mm256_storeu_si256((__m256i *)(to + i), _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256((__m256i *)(to + i + 16), _mm256_permute2x128_si256(low, high, 0x31));
  }
}

AVX2 static void weigh(const uint8_t *const *from, const uint16_t *weight, int taps, int16_t *to, int count) {
  if (count < 32) return rows_plain.weigh(from, weight, taps, to, count);
  switch (taps) {
    case 1: return weigh_some(from, weight, 1, to, count);
    case 2: return weigh_some(from, weight, 2, to, count);
    case 3: return weigh_some(from, weight, 3, to, count);
    case 4: return weigh_some(from, weight, 4, to, count);
    default: return weigh_some(from, weight, taps, to, count);
  }
}

/// Sums of a block of eight new samples.
INLINE __m256i block_sums(const int16_t *from, const struct filter *filter, int block, const int steps, const int channels) {
  const int32_t *start = filter->start + block * 2;
  const __m256i mask = _mm256_loadu_si256((const __m256i *)(filter->mask + (ptrdiff_t)block * 32));
  const int16_t *factor = filter->factor + (ptrdiff_t)block * steps * 16;
  __m256i sum = _mm256_setzero_si256();
  for (int step = 0; step < steps; step++) {
    // The same mask serves all: a step further is two taps further.
    const int further = step * 2 * channels;
    __m256i samples = both(from + start[0] + further, from + start[1] + further);
    samples = _mm256_shuffle_epi8(samples, mask);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(samples, _mm256_loadu_si256((const __m256i *)(factor + step * 16))));
  }
  return sum;
}

/// The same where two new samples share a load, which holds all their taps.
INLINE __m256i paired_sums(const int16_t *from, const struct filter *filter, int block) {
  const int32_t *start = filter->start + block * 4;
  __m256i sum[2];
  for (int i = 0; i < 2; i++) {
    const ptrdiff_t row = (ptrdiff_t)block * 2 + i;
    __m256i samples = both(from + start[i], from + start[i + 2]);
    samples = _mm256_shuffle_epi8(samples, _mm256_loadu_si256((const __m256i *)(filter->mask + row * 32)));
    sum[i] = _mm256_madd_epi16(samples, _mm256_loadu_si256((const __m256i *)(filter->factor + row * 16)));
  }
  return _mm256_hadd_epi32(sum[0], sum[1]);
}

/// The same where each position has loads of its own.
INLINE __m256i wide_sums(const int16_t *from, const struct filter *filter, int block) {
  const int steps = filter->steps;
  if (filter->channels == 1) {
    const int32_t *start = filter->start + block * 8;
    const int16_t *factor = filter->factor + (ptrdiff_t)block * steps * 4 * 16;
    __m256i sum[4];
    for (int i = 0; i < 4; i++) {
      sum[i] = _mm256_setzero_si256();
      for (int step = 0; step < steps; step++) {
        __m256i samples = both(from + start[i] + step * LOAD, from + start[i + 4] + step * LOAD);
        __m256i factors = _mm256_loadu_si256((const __m256i *)(factor + (step * 4 + i) * 16));
        sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(samples, factors));
      }
    }
    return _mm256_hadd_epi32(_mm256_hadd_epi32(sum[0], sum[1]), _mm256_hadd_epi32(sum[2], sum[3]));
  }
  const __m256i order = twice(_mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
  const int32_t *start = filter->start + block * 4;
  const int16_t *factor = filter->factor + (ptrdiff_t)block * steps * 2 * 16;
  __m256i sum[2];
  for (int i = 0; i < 2; i++) {
    sum[i] = _mm256_setzero_si256();
    for (int step = 0; step < steps; step++) {
      __m256i samples = both(from + start[i] + step * LOAD, from + start[i + 2] + step * LOAD);
      __m256i factors = _mm256_loadu_si256((const __m256i *)(factor + (step * 2 + i) * 16));
      sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(_mm256_shuffle_epi8(samples, order), factors));
    }
  }
  return _mm256_add_epi32(_mm256_unpacklo_epi64(sum[0], sum[1]), _mm256_unpackhi_epi64(sum[0], sum[1]));
}

/// What becomes of the sums of two blocks.
INLINE void put(__m256i first, __m256i second, int16_t *wide, uint8_t *narrow, int i, int count) {
  if (wide) {
    const __m256i half = _mm256_set1_epi32(1 << 13);
    first = _mm256_srai_epi32(_mm256_add_epi32(first, half), 14);
    second = _mm256_srai_epi32(_mm256_add_epi32(second, half), 14);
    __m256i samples = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0xd8);
    _mm256_storeu_si256((__m256i *)(wide + i), samples);
    return;
  }
  const __m256i half = _mm256_set1_epi32(1 << 20);
  first = _mm256_srai_epi32(_mm256_add_epi32(first, half), 21);
  second = _mm256_srai_epi32(_mm256_add_epi32(second, half), 21);
  __m256i packed = _mm256_packs_epi32(first, second);
  packed = _mm256_packus_epi16(packed, packed);
  packed = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5));
  __m128i samples = _mm256_castsi256_si128(packed);
  if (i + 16 <= count) {
    _mm_storeu_si128((__m128i *)(narrow + i), samples);
  } else {
    uint8_t end[16];
    _mm_storeu_si128((__m128i *)end, samples);
    memcpy(narrow + i, end, (size_t)(count - i));
  }
}

INLINE void gather_some(
    const int16_t *from, const struct filter *filter, int16_t *wide, uint8_t *narrow, const int steps, const int channels) {
  for (int block = 0; block < filter->blocks; block += 2) {
    __m256i first = block_sums(from, filter, block, steps, channels);
    __m256i second = block_sums(from, filter, block + 1, steps, channels);
    put(first, second, wide, narrow, block * BLOCK, filter->count);
  }
}

INLINE void gather_to(const int16_t *from, const struct filter *filter, int16_t *wide, uint8_t *narrow) {
  if (filter->way == PAIRED) {
    for (int block = 0; block < filter->blocks; block += 2) {
      __m256i first = paired_sums(from, filter, block);
      put(first, paired_sums(from, filter, block + 1), wide, narrow, block * BLOCK, filter->count);
    }
    return;
  }
  if (filter->way == WIDE) {
    for (int block = 0; block < filter->blocks; block += 2) {
      __m256i first = wide_sums(from, filter, block);
      put(first, wide_sums(from, filter, block + 1), wide, narrow, block * BLOCK, filter->count);
    }
    return;
  }
  switch (filter->steps * 2 + filter->channels) {
    case 3: return gather_some(from, filter, wide, narrow, 1, 1);
    case 4: return gather_some(from, filter, wide, narrow, 1, 2);
    case 5: return gather_some(from, filter, wide, narrow, 2, 1);
    case 6: return gather_some(from, filter, wide, narrow, 2, 2);
    default: return gather_some(from, filter, wide, narrow, filter->steps, filter->channels);
  }
}

AVX2 static void gather(const int16_t *from, const struct filter *filter, int16_t *to) {
  gather_to(from, filter, to, NULL);
}

AVX2 static void gather_bytes(const int16_t *from, const struct filter *filter, uint8_t *to) {
  gather_to(from, filter, NULL, to);
}

AVX2 static void blend(const int16_t *first, const int16_t *second, int weight, uint8_t *to, int count) {
  if (count < 32) return rows_plain.blend(first, second, weight, to, count);
  const __m256i factor = _mm256_set1_epi16((short)weight), half = _mm256_set1_epi16(1 << 6);
  EACH_BLOCK(i, 32, count) {
    __m256i parts[2];
    for (int part = 0; part < 2; part++) {
      __m256i above = _mm256_loadu_si256((const __m256i *)(first + i + part * 16));
      __m256i below = _mm256_loadu_si256((const __m256i *)(second + i + part * 16));
      __m256i more = _mm256_mulhrs_epi16(_mm256_sub_epi16(below, above), factor);
      parts[part] = _mm256_srai_epi16(_mm256_add_epi16(_mm256_add_epi16(above, more), half), 7);
    }
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(parts[0], parts[1]), 0xd8);
    _mm256_storeu_si256((__m256i *)(to + i), packed);
  }
}

AVX2 static void shorten(const uint16_t *from, uint8_t *to, int count) {
  if (count < 32) return rows_plain.shorten(from, to, count);
  const __m256i half = _mm256_set1_epi16(128);
  EACH_BLOCK(i, 32, count) {
    __m256i low = _mm256_adds_epu16(_mm256_loadu_si256((const __m256i *)(from + i)), half);
    __m256i high = _mm256_adds_epu16(_mm256_loadu_si256((const __m256i *)(from + i + 16)), half);
    __m256i packed = _mm256_packus_epi16(_mm256_srli_epi16(low, 8), _mm256_srli_epi16(high, 8));
    _mm256_storeu_si256((__m256i *)(to + i), _mm256_permute4x64_epi64(packed, 0xd8));
  }
}

const struct rows rows_avx2 = {
    .name = "AVX2",
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
