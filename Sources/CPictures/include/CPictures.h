// SPDX-License-Identifier: Apache-2.0
// Kernels for pictures: scaling of planes of 8 bit. The only door.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Which instructions do the work.
enum {
  /// C without intrinsics: what the others are checked against, and what runs where there are none.
  PICTURES_PLAIN = 0,
  /// The best this processor has: AVX2, NEON, else plain.
  PICTURES_BEST = 1,
};

/// `AVX2`, `NEON` or `plain`: what PICTURES_BEST is here.
const char *pictures_instructions(void);

/// How planes of one size become planes of another, with its tables and the lines it works in. Serial use.
///
/// An axis that shrinks takes the mean of what a sample covers (area), one that grows lies between the two nearest (bilinear), both with
/// the edges of the pictures on each other. Half a step off at most where both axes have a ratio of their own (3:2, 2:1, 3:1,
/// 4:1), one at most elsewhere.
typedef struct pictures_scaling pictures_scaling;

/// Largest ratio an axis shrinks by.
#define PICTURES_LARGEST_RATIO 16

/// - Parameters: sizes in samples of one channel; `channels` 1 for a plane of its own, 2 for two that alternate (NV12's chroma).
/// - Returns: NULL without memory, or for what it does not do: sizes below 1, other channels, shrinking by more than the largest ratio.
pictures_scaling *pictures_scaling_make(int width, int height, int new_width, int new_height, int channels, int instructions);
void pictures_scaling_free(pictures_scaling *scaling);

/// `3:2`, `2:1`, `3:1`, `4:1`, `area`, `bilinear`.
const char *pictures_scaling_name(const pictures_scaling *scaling);

/// Fills the new plane. Strides in bytes, negative for a plane that is read from the bottom up. Reads and writes
/// no byte outside the lines' own.
void pictures_scale(pictures_scaling *scaling, const uint8_t *from, ptrdiff_t from_stride, uint8_t *to, ptrdiff_t to_stride);

/// Samples of 10 bit in the upper bits of 16 (P010) to 8 bit, rounded. `count` samples a line; stride of the source in bytes.
void pictures_shorten(const void *from, ptrdiff_t from_stride, uint8_t *to, ptrdiff_t to_stride, int count, int lines,
                      int instructions);

#ifdef __cplusplus
}
#endif
