// SPDX-License-Identifier: Apache-2.0
// The work on lines, once for each kind of instructions. All kinds give the same bytes.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// How many new samples share a load.
enum way {
  /// Half a block: a mask picks two taps of each out of a load, further loads have the next two.
  SHARED,
  /// Two, with up to four taps each. One channel.
  PAIRED,
  /// Each position has its own.
  WIDE,
};

/// Which samples of a line a new one is made of. Lines hold 16 bit: 8 of the sample, 7 of fraction.
struct filter {
  /// Samples in a new line, all channels.
  int count;
  int channels;
  /// For each position: the first one it takes, and `taps` weights, whose sum is 1 << 14.
  int taps;
  int32_t *first;
  int16_t *weight;

  // The same for vector units, in blocks of eight new samples, an even number of them.

  int blocks;
  enum way way;
  /// Loads one after the other: for two taps each, or where wide for eight samples.
  int steps;
  /// Where loads begin, in samples.
  int32_t *start;
  /// Which bytes of two loads are multiplied, in order; none where wide.
  uint8_t *mask;
  /// Factors in the order of what is multiplied.
  int16_t *factor;
};

enum {
  /// Samples that each load takes.
  LOAD = 8,
  BLOCK = 8,
};

struct rows {
  const char *name;
  /// Three lines to two, three samples to two. `count` is that of the new lines' samples.
  void (*three_to_two)(const uint8_t *const from[3], uint8_t *const to[2], int count, int channels);
  /// Four lines to three, four samples to three.
  void (*four_to_three)(const uint8_t *const from[4], uint8_t *const to[3], int count, int channels);
  /// What lies between two lines, once nearer the first and once nearer the second; each becomes twice as long. `count` is that of
  /// the old lines' samples.
  void (*one_to_two)(const uint8_t *const from[2], uint8_t *const to[2], int count, int channels);
  /// `ratio` lines (2, 3, 4) to one, `ratio` samples to one.
  void (*shrink)(const uint8_t *const *from, int ratio, uint8_t *to, int count, int channels);
  /// The weighted sum of lines; weights' sum is 1 << 15.
  void (*weigh)(const uint8_t *const *from, const uint16_t *weight, int taps, int16_t *to, int count);
  /// A line of another length. What is written is whole pairs of blocks.
  void (*gather)(const int16_t *from, const struct filter *filter, int16_t *to);
  /// The same, to 8 bit; writes no more than the line.
  void (*gather_bytes)(const int16_t *from, const struct filter *filter, uint8_t *to);
  /// Between two lines: `weight` of 1 << 15 is how much of the second, below 1.
  void (*blend)(const int16_t *first, const int16_t *second, int weight, uint8_t *to, int count);
  void (*shorten)(const uint16_t *from, uint8_t *to, int count);
};

extern const struct rows rows_plain;
#if defined(__x86_64__)
extern const struct rows rows_avx2;
#elif defined(__aarch64__)
extern const struct rows rows_neon;
#endif

/// Of one_to_two the first and the last new samples, outside of which nothing lies: left and right is the same.
void ends_of_two(const uint8_t *const from[2], uint8_t *const to[2], int count, int channels);

/// Blocks of a line of at least one, by where they begin. The last one ends with the line: some of it is made twice.
#define EACH_BLOCK(i, size, count)                                                                      \
  for (int i = 0, last_##i = (count) - (size); i <= last_##i || (i != last_##i + (size) && (i = last_##i, true)); \
       i += (size))

/// 1/9 in 1 << 15: exact for sums of nine samples.
#define NINTH 3641
