// SPDX-License-Identifier: Apache-2.0
#include "CPictures.h"

#include <stdlib.h>
#include <string.h>

#include "Filter.h"

enum kind { THREE_TO_TWO, FOUR_TO_THREE, ONE_TO_TWO, TWO_TO_ONE, THREE_TO_ONE, FOUR_TO_ONE, LINES_FIRST, COLUMNS_FIRST };

enum { MOST_TAPS = PICTURES_LARGEST_RATIO + 1 };

struct pictures_scaling {
  enum kind kind;
  int width, height, new_width, new_height, channels;
  const struct rows *rows;
  struct filter columns;
  struct taps lines;
  /// Lines of 16 bit, and which line of the source each holds where columns come first.
  int16_t *line[2];
  int held[2];
};

static const struct rows *rows_for(int instructions) {
#if defined(__x86_64__)
  if (instructions == PICTURES_BEST && __builtin_cpu_supports("avx2")) return &rows_avx2;
#elif defined(__aarch64__)
  if (instructions == PICTURES_BEST) return &rows_neon;
#endif
  (void)instructions;
  return &rows_plain;
}

const char *pictures_instructions(void) { return rows_for(PICTURES_BEST)->name; }

static bool is_ratio(const pictures_scaling *s, int from, int to) {
  return (int64_t)s->width * to == (int64_t)s->new_width * from && (int64_t)s->height * to == (int64_t)s->new_height * from;
}

static enum kind kind_of(const pictures_scaling *s) {
  // Two or three new samples are made at once.
  if (is_ratio(s, 3, 2) && s->new_width % 2 == 0 && s->new_height % 2 == 0) return THREE_TO_TWO;
  if (is_ratio(s, 4, 3) && s->new_width % 3 == 0 && s->new_height % 3 == 0) return FOUR_TO_THREE;
  if (is_ratio(s, 1, 2)) return ONE_TO_TWO;
  if (is_ratio(s, 2, 1)) return TWO_TO_ONE;
  if (is_ratio(s, 3, 1)) return THREE_TO_ONE;
  if (is_ratio(s, 4, 1)) return FOUR_TO_ONE;
  // Columns are the dearer work: on as few lines as there are.
  return s->new_height > s->height ? COLUMNS_FIRST : LINES_FIRST;
}

static bool add_tables(pictures_scaling *s) {
  if (!filter_make(&s->columns, s->width, s->new_width, s->channels)) return false;
  if (!taps_make(&s->lines, s->height, s->new_height, 1 << 15)) return false;
  int longest = s->width > s->new_width ? s->width : s->new_width;
  // Whole blocks are written, and loads read beyond the last sample.
  size_t samples = (size_t)longest * (size_t)s->channels + (size_t)filter_margin(&s->columns) + 64;
  // The third holds a line of the source before its columns are gathered.
  s->line[0] = calloc(samples * 3, sizeof *s->line[0]);
  s->line[1] = s->line[0] + samples;
  return s->line[0] != NULL;
}

pictures_scaling *pictures_scaling_make(int width, int height, int new_width, int new_height, int channels, int instructions) {
  if (width < 1 || height < 1 || new_width < 1 || new_height < 1 || width > 65536 || height > 65536 || new_width > 65536 ||
      new_height > 65536 || channels < 1 || channels > 2)
    return NULL;
  if (width > (int64_t)new_width * PICTURES_LARGEST_RATIO || height > (int64_t)new_height * PICTURES_LARGEST_RATIO) return NULL;
  pictures_scaling *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  *s = (pictures_scaling){
      .width = width, .height = height, .new_width = new_width, .new_height = new_height, .channels = channels};
  s->rows = rows_for(instructions);
  s->kind = kind_of(s);
  if (s->kind >= LINES_FIRST && !add_tables(s)) {
    pictures_scaling_free(s);
    return NULL;
  }
  return s;
}

void pictures_scaling_free(pictures_scaling *s) {
  if (!s) return;
  filter_free(&s->columns);
  taps_free(&s->lines);
  free(s->line[0]);
  free(s);
}

const char *pictures_scaling_name(const pictures_scaling *s) {
  switch (s->kind) {
    case THREE_TO_TWO: return "3:2";
    case FOUR_TO_THREE: return "4:3";
    case ONE_TO_TWO: return "1:2";
    case TWO_TO_ONE: return "2:1";
    case THREE_TO_ONE: return "3:1";
    case FOUR_TO_ONE: return "4:1";
    default: return s->new_width < s->width || s->new_height < s->height ? "area" : "bilinear";
  }
}

/// Both planes and their strides.
struct planes {
  const uint8_t *from;
  ptrdiff_t from_stride;
  uint8_t *to;
  ptrdiff_t to_stride;
};

static const uint8_t *line_of(const struct planes *p, int number) { return p->from + number * p->from_stride; }

static void three_to_two(pictures_scaling *s, const struct planes *p) {
  int count = s->new_width * s->channels;
  for (int row = 0; row < s->new_height; row += 2) {
    const uint8_t *first = line_of(p, row / 2 * 3);
    const uint8_t *const from[3] = {first, first + p->from_stride, first + 2 * p->from_stride};
    uint8_t *const to[2] = {p->to + row * p->to_stride, p->to + (row + 1) * p->to_stride};
    s->rows->three_to_two(from, to, count, s->channels);
  }
}

static void four_to_three(pictures_scaling *s, const struct planes *p) {
  for (int row = 0; row < s->new_height; row += 3) {
    const uint8_t *from[4];
    uint8_t *to[3];
    for (int i = 0; i < 4; i++) from[i] = line_of(p, row / 3 * 4 + i);
    for (int i = 0; i < 3; i++) to[i] = p->to + (row + i) * p->to_stride;
    s->rows->four_to_three(from, to, s->new_width * s->channels, s->channels);
  }
}

static void one_to_two(pictures_scaling *s, const struct planes *p) {
  // Between lines n and n + 1 are the new ones 2n + 1 and 2n + 2; the first and the last lie outside and have one source.
  for (int row = -1; row < s->new_height; row += 2) {
    int above = row < 0 ? 0 : row / 2, below = row == s->new_height - 1 ? above : row < 0 ? 0 : above + 1;
    const uint8_t *const from[2] = {line_of(p, above), line_of(p, below)};
    uint8_t *first = p->to + (row < 0 ? 0 : row) * p->to_stride;
    uint8_t *const to[2] = {first, above == below ? first : p->to + (row + 1) * p->to_stride};
    s->rows->one_to_two(from, to, s->width * s->channels, s->channels);
  }
}

static void shrink(pictures_scaling *s, int ratio, const struct planes *p) {
  for (int row = 0; row < s->new_height; row++) {
    const uint8_t *from[4];
    for (int i = 0; i < ratio; i++) from[i] = line_of(p, row * ratio + i);
    s->rows->shrink(from, ratio, p->to + row * p->to_stride, s->new_width * s->channels, s->channels);
  }
}

static void lines_first(pictures_scaling *s, const struct planes *p) {
  int samples = s->width * s->channels;
  for (int row = 0; row < s->new_height; row++) {
    const uint8_t *from[MOST_TAPS];
    uint16_t weight[MOST_TAPS];
    int taps = s->lines.used[row];
    for (int tap = 0; tap < taps; tap++) {
      from[tap] = line_of(p, s->lines.first[row] + tap);
      weight[tap] = (uint16_t)s->lines.weight[(ptrdiff_t)row * s->lines.count + tap];
    }
    s->rows->weigh(from, weight, taps, s->line[0], samples);
    uint8_t *to = p->to + row * p->to_stride;
    if (s->new_width == s->width) {
      s->rows->blend(s->line[0], s->line[0], 0, to, samples);
    } else {
      s->rows->gather_bytes(s->line[0], &s->columns, to);
    }
  }
}

/// The line of the source with its columns gathered, from where it is held or made there.
static const int16_t *gathered(pictures_scaling *s, const struct planes *p, int number) {
  int16_t *line = s->line[number % 2];
  if (s->held[number % 2] == number) return line;
  const uint8_t *const from[1] = {line_of(p, number)};
  const uint16_t all[1] = {1 << 15};
  bool is_same = s->new_width == s->width;
  int16_t *source = is_same ? line : s->line[1] + (s->line[1] - s->line[0]);
  s->rows->weigh(from, all, 1, source, s->width * s->channels);
  if (!is_same) s->rows->gather(source, &s->columns, line);
  s->held[number % 2] = number;
  return line;
}

static void columns_first(pictures_scaling *s, const struct planes *p) {
  s->held[0] = s->held[1] = -1;
  for (int row = 0; row < s->new_height; row++) {
    int number = s->lines.first[row];
    int weight = s->lines.weight[(ptrdiff_t)row * s->lines.count + 1];
    const int16_t *first = gathered(s, p, number);
    const int16_t *second = weight ? gathered(s, p, number + 1) : first;
    s->rows->blend(first, second, weight, p->to + row * p->to_stride, s->new_width * s->channels);
  }
}

void pictures_scale(pictures_scaling *s, const uint8_t *from, ptrdiff_t from_stride, uint8_t *to, ptrdiff_t to_stride) {
  const struct planes planes = {from, from_stride, to, to_stride};
  switch (s->kind) {
    case THREE_TO_TWO: return three_to_two(s, &planes);
    case FOUR_TO_THREE: return four_to_three(s, &planes);
    case ONE_TO_TWO: return one_to_two(s, &planes);
    case TWO_TO_ONE: return shrink(s, 2, &planes);
    case THREE_TO_ONE: return shrink(s, 3, &planes);
    case FOUR_TO_ONE: return shrink(s, 4, &planes);
    case LINES_FIRST: return lines_first(s, &planes);
    case COLUMNS_FIRST: return columns_first(s, &planes);
  }
}

void pictures_shorten(const void *from, ptrdiff_t from_stride, uint8_t *to, ptrdiff_t to_stride, int count, int lines,
                      int instructions) {
  const struct rows *rows = rows_for(instructions);
  for (int row = 0; row < lines; row++) {
    rows->shorten((const uint16_t *)((const uint8_t *)from + row * from_stride), to + row * to_stride, count);
  }
}
