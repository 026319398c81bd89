// The only door to libpng: its simplified interface, whose errors come back as values. The other one jumps over the caller's frames.
#pragma once
#include <png.h>

// Looks at the header: size and kind of the picture. Nothing is allocated for pixels.
// - Returns: 0 where it failed; `message` says why, and nothing is left to free.
static inline int mpifs_png_begin(png_image *image, const void *bytes, size_t count) {
  *image = (png_image){.version = PNG_IMAGE_VERSION};
  return png_image_begin_read_from_memory(image, bytes, count);
}

// Reads the pixels as B G R A, alpha not multiplied in, lines without gaps. Samples of 16 bits that do not say otherwise are as
// bright as those of 8 bits. Frees what reading took, in any case.
// - Returns: 0 where it failed; `message` says why.
static inline int mpifs_png_finish(png_image *image, void *pixels) {
  image->format = PNG_FORMAT_BGRA;
  image->flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  return png_image_finish_read(image, NULL, pixels, 0, NULL);
}
