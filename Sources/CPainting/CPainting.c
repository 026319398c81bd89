// SPDX-License-Identifier: Apache-2.0
#include "CPainting.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// MARK: blending

void mpifs_blend_plain(uint8_t *target, const uint8_t *color, const uint8_t *alpha, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t sum = target[i] * (255u - alpha[i]) + color[i] * (uint32_t)alpha[i] + 128;
    // The rounded quotient by 255, exact for all sums there are.
    target[i] = (uint8_t)((sum + (sum >> 8)) >> 8);
  }
}

#if defined(__x86_64__)
// 32 bytes at a time. The multiplication takes one factor with a sign, so that colours are taken from their middle, and what that
// takes away is given back with the rounding.
__attribute__((target("avx2"))) static void blend_avx2(uint8_t *target, const uint8_t *color, const uint8_t *alpha,
                                                       size_t count) {
  const __m256i middle = _mm256_set1_epi8((char)0x80);
  const __m256i all = _mm256_set1_epi8((char)0xff);
  const __m256i back = _mm256_set1_epi16((short)(128 * 255 + 128));
  // The upper half of a product by 257 is (sum + (sum >> 8)) >> 8.
  const __m256i by255 = _mm256_set1_epi16(257);
  size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    __m256i share = _mm256_loadu_si256((const __m256i *)(alpha + i));
    __m256i rest = _mm256_xor_si256(share, all);
    __m256i below = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(target + i)), middle);
    __m256i above = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(color + i)), middle);
    __m256i low = _mm256_maddubs_epi16(_mm256_unpacklo_epi8(rest, share), _mm256_unpacklo_epi8(below, above));
    __m256i high = _mm256_maddubs_epi16(_mm256_unpackhi_epi8(rest, share), _mm256_unpackhi_epi8(below, above));
    low = _mm256_mulhi_epu16(_mm256_add_epi16(low, back), by255);
    high = _mm256_mulhi_epu16(_mm256_add_epi16(high, back), by255);
    _mm256_storeu_si256((__m256i *)(target + i), _mm256_packus_epi16(low, high));
  }
  mpifs_blend_plain(target + i, color + i, alpha + i, count - i);
}
#elif defined(__aarch64__)
// 16 bytes at a time; every processor of this architecture can.
static void blend_neon(uint8_t *target, const uint8_t *color, const uint8_t *alpha, size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    uint8x16_t share = vld1q_u8(alpha + i), rest = vmvnq_u8(share);
    uint8x16_t below = vld1q_u8(target + i), above = vld1q_u8(color + i);
    uint16x8_t low = vmull_u8(vget_low_u8(below), vget_low_u8(rest));
    uint16x8_t high = vmull_high_u8(below, rest);
    low = vmlal_u8(low, vget_low_u8(above), vget_low_u8(share));
    high = vmlal_high_u8(high, above, share);
    // (sum + ((sum + 128) >> 8) + 128) >> 8: the same quotient.
    vst1q_u8(target + i, vraddhn_high_u16(vraddhn_u16(low, vrshrq_n_u16(low, 8)), high, vrshrq_n_u16(high, 8)));
  }
  mpifs_blend_plain(target + i, color + i, alpha + i, count - i);
}
#endif

void mpifs_blend(uint8_t *target, const uint8_t *color, const uint8_t *alpha, size_t count) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) {
    blend_avx2(target, color, alpha, count);
    return;
  }
#elif defined(__aarch64__)
  blend_neon(target, color, alpha, count);
  return;
#endif
  mpifs_blend_plain(target, color, alpha, count);
}

static void paint_spans(const struct mpifs_planes *planes, const struct mpifs_span *spans, size_t count,
                        const uint8_t *color, const uint8_t *alpha) {
  for (size_t i = 0; i < count; i++) {
    const struct mpifs_span *span = &spans[i];
    uint8_t *target = planes->base[span->plane] + (ptrdiff_t)span->row * planes->stride[span->plane] + span->column;
    if (span->blends)
      mpifs_blend(target, color + span->source, alpha + span->source, (size_t)span->count);
    else
      memcpy(target, color + span->source, (size_t)span->count);
  }
}

// MARK: mosaic

// A row of blocks is done in stretches: the lines are added up column by column, which is a loop for vectors; a block's colour comes
// of the sums of its columns; the first line is made of the colours, and the others are copies of it.
enum { stretch = 2048 };

static void add_lines(const uint8_t *block, int32_t stride, size_t bytes, int32_t lines, uint32_t *restrict sums) {
  uint16_t part[stretch];
  memset(sums, 0, bytes * sizeof *sums);
  while (lines > 0) {
    // So many lines cannot overflow 16 bits.
    int32_t some = lines < 256 ? lines : 256;
    memset(part, 0, bytes * sizeof *part);
    for (int32_t line = 0; line < some; line++, block += stride)
      for (size_t x = 0; x < bytes; x++) part[x] += block[x];
    for (size_t x = 0; x < bytes; x++) sums[x] += part[x];
    lines -= some;
  }
}

static inline uint8_t mean(uint32_t total, uint32_t count) {
  return count == 0 ? 0 : (uint8_t)((total + count / 2) / count);
}

// isHalf: the second sample of the last cell is outside the picture, and does not count.
static inline void color_of(const uint32_t *sums, size_t bytes, int32_t lines, struct mpifs_cell cell, int isHalf,
                            uint8_t color[4]) {
  uint32_t total[4] = {0};
  uint32_t cells = (uint32_t)(bytes / (size_t)cell.bytes) * (uint32_t)lines;
  for (size_t x = 0; x < bytes; x += (size_t)cell.bytes)
    for (int32_t place = 0; place < cell.bytes; place++) total[place] += sums[x + (size_t)place];
  for (int32_t place = 0; place < cell.bytes; place++) color[place] = mean(total[place], cells);
  if (cell.twice < 0) return;
  uint32_t both = total[cell.twice] + total[cell.twice + 2], count = cells * 2;
  if (isHalf) {
    both -= sums[bytes - 4 + (size_t)cell.twice + 2];
    count -= (uint32_t)lines;
  }
  color[cell.twice] = color[cell.twice + 2] = mean(both, count);
}

// The blocks of a row, which together are a stretch at most.
static void mosaic_row(uint8_t *first, int32_t stride, struct mpifs_cell cell, const int32_t *columns,
                       size_t columnCount, int32_t lines, int isLast) {
  uint32_t sums[stretch];
  size_t bytes = (size_t)(columns[columnCount - 1] - columns[0]);
  add_lines(first, stride, bytes, lines, sums);
  for (size_t i = 0; i + 1 < columnCount; i++) {
    size_t at = (size_t)(columns[i] - columns[0]), width = (size_t)(columns[i + 1] - columns[i]);
    uint8_t color[4];
    int isHalf = isLast && cell.lastIsHalf && i + 2 == columnCount;
    // The loops know how many steps they have where the cell is a constant.
    switch (cell.bytes) {
      case 1:
        cell.bytes = 1;
        color_of(sums + at, width, lines, cell, isHalf, color);
        for (size_t x = 0; x < width; x++) first[at + x] = color[0];
        continue;
      case 2:
        cell.bytes = 2;
        color_of(sums + at, width, lines, cell, isHalf, color);
        break;
      case 3:
        cell.bytes = 3;
        color_of(sums + at, width, lines, cell, isHalf, color);
        break;
      default:
        cell.bytes = 4;
        color_of(sums + at, width, lines, cell, isHalf, color);
    }
    for (size_t x = 0; x < width; x += (size_t)cell.bytes)
      for (int32_t place = 0; place < cell.bytes; place++) first[at + x + (size_t)place] = color[place];
  }
  for (int32_t line = 1; line < lines; line++) memcpy(first + (ptrdiff_t)line * stride, first, bytes);
}

static void paint_blocks(const struct mpifs_planes *planes, const struct mpifs_blocks *blocks) {
  const int32_t *columns = blocks->columns, *rows = blocks->rows;
  int32_t stride = planes->stride[blocks->plane];
  for (size_t row = 0; row + 1 < blocks->rowCount; row++) {
    uint8_t *line = planes->base[blocks->plane] + (ptrdiff_t)rows[row] * stride;
    for (size_t from = 0; from + 1 < blocks->columnCount;) {
      size_t to = from + 1;
      while (to + 1 < blocks->columnCount && columns[to + 1] - columns[from] <= stretch) to++;
      mosaic_row(line + columns[from], stride, blocks->cell, columns + from, to - from + 1, rows[row + 1] - rows[row],
                 to + 1 == blocks->columnCount);
      from = to;
    }
  }
}

void mpifs_paint(const struct mpifs_planes *planes, const struct mpifs_step *steps, size_t count, const uint8_t *color,
                 const uint8_t *alpha) {
  for (size_t i = 0; i < count; i++) {
    paint_spans(planes, steps[i].spans, steps[i].spanCount, color, alpha);
    for (size_t k = 0; k < steps[i].blocksCount; k++) paint_blocks(planes, &steps[i].blocks[k]);
  }
}
