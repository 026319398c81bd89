// The only door to libyuv.
#pragma once
#include <libyuv.h>

// How RGB is made of luma and colour differences; `matrix` is a number of ITU-T H.273 (1 BT.709, 9 BT.2020, else BT.601).
// `swapped`: the two differences, and with them red and blue, change places.
static inline const struct YuvConstants *mpifs_yuv_constants(int matrix, int full, int swapped) {
  switch (matrix) {
    case 1:
      return swapped ? (full ? &kYvuF709Constants : &kYvuH709Constants) : (full ? &kYuvF709Constants : &kYuvH709Constants);
    case 9:
      return swapped ? (full ? &kYvuV2020Constants : &kYvu2020Constants)
                     : (full ? &kYuvV2020Constants : &kYuv2020Constants);
    default:
      return swapped ? (full ? &kYvuJPEGConstants : &kYvuI601Constants) : (full ? &kYuvJPEGConstants : &kYuvI601Constants);
  }
}
