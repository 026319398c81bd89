// SPDX-License-Identifier: Apache-2.0
#include "Rows.h"

// Channels alternate, so that the same channel's next sample is `channels` further on.

static void three_to_two(const uint8_t *const from[3], uint8_t *const to[2], int count, int channels) {
  for (int i = 0; i < count; i++) {
    int position = i / channels, channel = i % channels;
    int at = (position / 2 * 3 + position % 2) * channels + channel;
    int sums[3];
    for (int row = 0; row < 3; row++) {
      int left = from[row][at], right = from[row][at + channels];
      sums[row] = position % 2 ? left + 2 * right : 2 * left + right;
    }
    to[0][i] = (uint8_t)(((2 * sums[0] + sums[1]) * NINTH + (1 << 14)) >> 15);
    to[1][i] = (uint8_t)(((sums[1] + 2 * sums[2]) * NINTH + (1 << 14)) >> 15);
  }
}

static void four_to_three(const uint8_t *const from[4], uint8_t *const to[3], int count, int channels) {
  for (int i = 0; i < count; i++) {
    int position = i / channels, phase = position % 3;
    int at = (position / 3 * 4 + phase) * channels + i % channels;
    int sums[4];
    for (int row = 0; row < 4; row++)
      sums[row] = (3 - phase) * from[row][at] + (1 + phase) * from[row][at + channels];
    for (int row = 0; row < 3; row++)
      to[row][i] = (uint8_t)(((3 - row) * sums[row] + (1 + row) * sums[row + 1] + 8) >> 4);
  }
}

static void one_to_two(const uint8_t *const from[2], uint8_t *const to[2], int count, int channels) {
  for (int i = 0; i < count * 2; i++) {
    int position = i / channels, channel = i % channels, last = count / channels - 1;
    int near = position / 2, far = position % 2 ? near + 1 : near - 1;
    far = far < 0 ? 0 : far > last ? last : far;
    int sums[2];
    for (int row = 0; row < 2; row++)
      sums[row] = 3 * from[row][near * channels + channel] + from[row][far * channels + channel];
    to[0][i] = (uint8_t)((3 * sums[0] + sums[1] + 8) >> 4);
    to[1][i] = (uint8_t)((sums[0] + 3 * sums[1] + 8) >> 4);
  }
}

void ends_of_two(const uint8_t *const from[2], uint8_t *const to[2], int count, int channels) {
  for (int k = 0; k < channels; k++) {
    for (int end = 0; end < 2; end++) {
      int at = end ? count - channels + k : k, above = from[0][at], below = from[1][at];
      int i = end ? 2 * count - channels + k : k;
      to[0][i] = (uint8_t)((3 * above + below + 2) >> 2);
      to[1][i] = (uint8_t)((above + 3 * below + 2) >> 2);
    }
  }
}

static void shrink(const uint8_t *const *from, int ratio, uint8_t *to, int count, int channels) {
  for (int i = 0; i < count; i++) {
    int at = i / channels * ratio * channels + i % channels, sum = 0;
    for (int row = 0; row < ratio; row++)
      for (int column = 0; column < ratio; column++) sum += from[row][at + column * channels];
    to[i] = (uint8_t)(ratio == 2 ? (sum + 2) >> 2 : ratio == 4 ? (sum + 8) >> 4 : (sum * NINTH + (1 << 14)) >> 15);
  }
}

static void weigh(const uint8_t *const *from, const uint16_t *weight, int taps, int16_t *to, int count) {
  for (int i = 0; i < count; i++) {
    // Each product is cut off: half a step for each makes up for it.
    uint32_t sum = (uint32_t)taps / 2;
    for (int tap = 0; tap < taps; tap++) sum += ((uint32_t)from[tap][i] << 8) * weight[tap] >> 16;
    to[i] = (int16_t)sum;
  }
}

static int32_t gathered(const int16_t *from, const struct filter *filter, int i) {
  int position = i / filter->channels;
  const int16_t *at = from + filter->first[position] * filter->channels + i % filter->channels;
  const int16_t *weight = filter->weight + (ptrdiff_t)position * filter->taps;
  int32_t sum = 0;
  for (int tap = 0; tap < filter->taps; tap++) sum += at[tap * filter->channels] * weight[tap];
  return sum;
}

static void gather(const int16_t *from, const struct filter *filter, int16_t *to) {
  for (int i = 0; i < filter->count; i++) to[i] = (int16_t)((gathered(from, filter, i) + (1 << 13)) >> 14);
}

static uint8_t clamped(int32_t value) { return (uint8_t)(value > 255 ? 255 : value); }

static void gather_bytes(const int16_t *from, const struct filter *filter, uint8_t *to) {
  for (int i = 0; i < filter->count; i++) to[i] = clamped((gathered(from, filter, i) + (1 << 20)) >> 21);
}

static void blend(const int16_t *first, const int16_t *second, int weight, uint8_t *to, int count) {
  for (int i = 0; i < count; i++) {
    int between = first[i] + (((second[i] - first[i]) * weight + (1 << 14)) >> 15);
    to[i] = clamped((between + (1 << 6)) >> 7);
  }
}

static void shorten(const uint16_t *from, uint8_t *to, int count) {
  for (int i = 0; i < count; i++) to[i] = clamped((from[i] + 128) >> 8);
}

const struct rows rows_plain = {
    .name = "plain",
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
