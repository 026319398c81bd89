// SPDX-License-Identifier: Apache-2.0
#include "Filter.h"

#include <stdlib.h>

// Positions are counted in parts so small that both the old samples' edges and the new ones' are whole numbers; only the weights are
// rounded, each sum of them from the first on, so that all together they are `unity`.

static int32_t part(int64_t of, int64_t whole, int unity) { return (int32_t)((of * unity * 2 + whole) / (whole * 2)); }

/// The mean of what a new sample covers.
static void area(struct taps *taps, int position, int size, int new_size, int unity) {
  int64_t begin = (int64_t)position * size, end = begin + size;
  int first = (int)(begin / new_size), used = 0;
  int32_t before = 0;
  for (int64_t at = begin; at < end; used++) {
    int64_t edge = (int64_t)(first + used + 1) * new_size;
    at = edge < end ? edge : end;
    int32_t sum = part(at - begin, size, unity);
    taps->weight[(ptrdiff_t)position * taps->count + used] = sum - before;
    before = sum;
  }
  taps->first[position] = first;
  taps->used[position] = used;
}

/// Between the two whose middles are nearest.
static void bilinear(struct taps *taps, int position, int size, int new_size, int unity) {
  int64_t middle = (2 * (int64_t)position + 1) * size - new_size, whole = 2 * (int64_t)new_size;
  int first = middle < 0 ? 0 : (int)(middle / whole);
  int32_t second = middle < 0 || first >= size - 1 ? 0 : part(middle - first * whole, whole, unity);
  int32_t *weight = taps->weight + (ptrdiff_t)position * taps->count;
  // All of the second would be more than a signed number of 16 bit holds.
  if (second == unity) {
    first += 1;
    second = 0;
  }
  weight[0] = unity - second;
  weight[1] = second;
  taps->first[position] = first;
  taps->used[position] = second ? 2 : 1;
}

bool taps_make(struct taps *taps, int size, int new_size, int unity) {
  // A new sample that begins inside an old one may end inside another.
  taps->count = new_size < size ? (size + new_size - 1) / new_size + 1 : 2;
  taps->first = calloc((size_t)new_size, sizeof *taps->first);
  taps->used = calloc((size_t)new_size, sizeof *taps->used);
  taps->weight = calloc((size_t)new_size * (size_t)taps->count, sizeof *taps->weight);
  if (!taps->first || !taps->used || !taps->weight) return false;
  int most = 0;
  for (int position = 0; position < new_size; position++) {
    (new_size < size ? area : bilinear)(taps, position, size, new_size, unity);
    if (taps->used[position] > most) most = taps->used[position];
  }
  return true;
}

void taps_free(struct taps *taps) {
  free(taps->first);
  free(taps->used);
  free(taps->weight);
}

// MARK: for vector units

/// Positions in half a block, which share a load.
static int shared(const struct filter *filter) { return LOAD / 2 / filter->channels; }

static int last(const struct filter *filter, int position) {
  int positions = filter->count / filter->channels;
  return position < positions ? position : positions - 1;
}

static int first_of(const struct filter *filter, int position) { return filter->first[last(filter, position)]; }

static int weight_of(const struct filter *filter, int position, int tap) {
  if (tap >= filter->taps || position * filter->channels >= filter->count) return 0;
  return filter->weight[(ptrdiff_t)position * filter->taps + tap];
}

/// Whether what half a block takes first lies in one load, two taps of each position.
static bool fits_shared(const struct filter *filter) {
  int n = shared(filter);
  for (int position = 0; position * filter->channels < filter->count; position += n) {
    int span = first_of(filter, position + n - 1) - first_of(filter, position) + 2;
    if (span * filter->channels > LOAD) return false;
  }
  return true;
}

static void fill_shared(struct filter *filter) {
  int n = shared(filter), channels = filter->channels;
  for (int half = 0; half < filter->blocks * 2; half++) {
    int begin = half * n, block = half / 2, start = first_of(filter, begin);
    filter->start[half] = start * channels;
    for (int i = 0; i < LOAD / 2; i++) {
      int position = begin + i / channels;
      int at = (first_of(filter, position) - start) * channels + i % channels;
      uint8_t *mask = filter->mask + (ptrdiff_t)half * 16 + i * 4;
      for (int tap = 0; tap < 2; tap++) {
        mask[tap * 2] = (uint8_t)((at + tap * channels) * 2);
        mask[tap * 2 + 1] = (uint8_t)(mask[tap * 2] + 1);
      }
      for (int tap = 0; tap < filter->steps * 2; tap++) {
        ptrdiff_t step = (ptrdiff_t)block * filter->steps + tap / 2;
        filter->factor[step * 16 + half % 2 * 8 + i * 2 + tap % 2] = (int16_t)weight_of(filter, position, tap);
      }
    }
  }
}

static bool fits_paired(const struct filter *filter) {
  if (filter->channels != 1 || filter->taps > 4) return false;
  for (int position = 0; position < filter->count; position += 2)
    if (first_of(filter, position + 1) - first_of(filter, position) + 4 > LOAD) return false;
  return true;
}

static void fill_paired(struct filter *filter) {
  for (int position = 0; position < filter->blocks * BLOCK; position++) {
    int block = position / BLOCK, pair = position % BLOCK / 2, inside = position % 2;
    int start = first_of(filter, position - inside);
    // Pairs of a block alternate between its two multiplications, halves of a block between halves of a register.
    ptrdiff_t half = (((ptrdiff_t)block * 2 + pair % 2) * 2 + pair / 2) * 2 + inside;
    filter->start[block * 4 + pair / 2 * 2 + pair % 2] = start;
    for (int tap = 0; tap < 4; tap++) {
      uint8_t byte = (uint8_t)((first_of(filter, position) - start + tap) * 2);
      filter->mask[half * 8 + tap * 2] = byte;
      filter->mask[half * 8 + tap * 2 + 1] = (uint8_t)(byte + 1);
      filter->factor[half * 4 + tap] = (int16_t)weight_of(filter, position, tap);
    }
  }
}

static void fill_wide(struct filter *filter) {
  int channels = filter->channels, positions = BLOCK / channels, lanes = positions / 2;
  for (int position = 0; position < filter->blocks * positions; position++) {
    int block = position / positions, i = position % positions;
    filter->start[position] = first_of(filter, position) * channels;
    for (int tap = 0; tap < filter->steps * LOAD / channels; tap++) {
      int step = tap * channels / LOAD, inside = tap % (LOAD / channels);
      ptrdiff_t row = ((ptrdiff_t)block * filter->steps + step) * lanes + i % lanes;
      int16_t *factor = filter->factor + row * 16 + i / lanes * 8;
      int16_t weight = (int16_t)weight_of(filter, position, tap);
      if (channels == 1) {
        factor[inside] = weight;
      } else {
        // Two taps of the one channel, then the same two of the other.
        factor[inside / 2 * 4 + inside % 2] = weight;
        factor[inside / 2 * 4 + 2 + inside % 2] = weight;
      }
    }
  }
}

bool filter_make(struct filter *filter, int size, int new_size, int channels) {
  struct taps taps = {0};
  bool made = taps_make(&taps, size, new_size, 1 << 14);
  if (made) {
    filter->count = new_size * channels;
    filter->channels = channels;
    // Most that is really taken: ratios that divide need one less.
    for (int i = 0; i < new_size; i++)
      if (taps.used[i] > filter->taps) filter->taps = taps.used[i];
    filter->first = taps.first;
    taps.first = NULL;
    filter->weight = calloc((size_t)new_size * (size_t)filter->taps, sizeof *filter->weight);
    for (int i = 0; filter->weight && i < new_size; i++)
      for (int tap = 0; tap < filter->taps; tap++)
        filter->weight[(ptrdiff_t)i * filter->taps + tap] = (int16_t)taps.weight[(ptrdiff_t)i * taps.count + tap];
  }
  taps_free(&taps);
  if (!made || !filter->weight) return false;

  filter->blocks = (filter->count + 2 * BLOCK - 1) / (2 * BLOCK) * 2;
  filter->way = fits_shared(filter) ? SHARED : fits_paired(filter) ? PAIRED : WIDE;
  int step = filter->way == SHARED ? 2 : LOAD / channels;
  filter->steps = (filter->taps + step - 1) / step;
  size_t blocks = (size_t)filter->blocks;
  filter->start = calloc(blocks * BLOCK, sizeof *filter->start);
  filter->mask = calloc(blocks, 64);
  filter->factor = calloc(blocks * (size_t)filter->steps * 4, 32);
  if (!filter->start || !filter->mask || !filter->factor) return false;
  switch (filter->way) {
    case SHARED: fill_shared(filter); break;
    case PAIRED: fill_paired(filter); break;
    case WIDE: fill_wide(filter); break;
  }
  return true;
}

void filter_free(struct filter *filter) {
  free(filter->first);
  free(filter->weight);
  free(filter->start);
  free(filter->mask);
  free(filter->factor);
}

int filter_margin(const struct filter *filter) { return filter->steps * LOAD + LOAD; }
