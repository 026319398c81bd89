// SPDX-License-Identifier: Apache-2.0
// The loops that put regions into pictures: bytes blended or copied along lines, and squares of one colour.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Planes the CPU may write. What a picture has no plane for is not looked at.
struct mpifs_planes {
  uint8_t *base[3];
  int32_t stride[3];
};

// Bytes that follow each other in one line of a plane.
struct mpifs_span {
  int32_t plane;
  int32_t row;
  // Byte of the line.
  int32_t column;
  int32_t count;
  // Where its bytes begin among those prepared.
  size_t source;
  // 0: the bytes are copied.
  int32_t blends;
};

// target = (target * (255 - alpha) + color * alpha) / 255, rounded to the nearest, for each byte.
void mpifs_blend(uint8_t *target, const uint8_t *color, const uint8_t *alpha, size_t count);
// The same without the instructions a processor may lack; what the other is checked against.
void mpifs_blend_plain(uint8_t *target, const uint8_t *color, const uint8_t *alpha, size_t count);

// How the bytes of a line lie: what repeats, and which of them are of one kind.
struct mpifs_cell {
  // Bytes until a kind comes again: 1 to 4.
  int32_t bytes;
  // First of two bytes of a cell of 4 that are of one kind, 2 apart: 0 (Y Cb Y Cr) or 1 (Cb Y Cr Y). -1: there are none.
  int32_t twice;
  // 1: the second of the two is beyond the picture in the last cell of a line. It does not count, and is overwritten.
  int32_t lastIsHalf;
};

// Blocks of one plane that become one colour each: the mean of each kind of byte in it, rounded to the nearest.
struct mpifs_blocks {
  int32_t plane;
  struct mpifs_cell cell;
  // Where one ends and the next begins: bytes of a line, whole cells apart.
  const int32_t *columns;
  size_t columnCount;
  // Lines.
  const int32_t *rows;
  size_t rowCount;
};

// What is drawn in one go: spans in their order, then blocks.
struct mpifs_step {
  const struct mpifs_span *spans;
  size_t spanCount;
  const struct mpifs_blocks *blocks;
  size_t blocksCount;
};

// Draws steps in their order. `color` and `alpha` are what spans point into; alpha is looked at only where a span blends.
void mpifs_paint(const struct mpifs_planes *planes, const struct mpifs_step *steps, size_t count, const uint8_t *color,
                 const uint8_t *alpha);
