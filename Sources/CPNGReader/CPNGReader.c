// SPDX-License-Identifier: Apache-2.0
#include "CPNGReader.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

struct mpifs_png {
  png_structp reader;
  png_infop info;
  const uint8_t *bytes;
  size_t count;
  // The last line has its pixels, and so many bytes were taken since.
  int has_all;
  size_t taken_since;
  char message[mpifs_png_message_size];
};

// What a chunk may take when it is unpacked, and how many of a kind are kept.
static const png_alloc_size_t most_memory_a_chunk = 1 << 20;
static const png_uint_32 most_chunks = 64;
// What may follow the last pixel: the end of what was packed and its checksums. libpng unpacks what there is without keeping it, and a
// megabyte of it can be gigabytes.
static const size_t most_after_the_pixels = 1 << 16;

static void on_error(png_structp reader, png_const_charp text) {
  struct mpifs_png *file = png_get_error_ptr(reader);
  strncpy(file->message, text, sizeof file->message - 1);
  png_longjmp(reader, 1);
}

// What is only warned of can be read.
static void on_warning(png_structp reader, png_const_charp text) {
  (void)reader;
  (void)text;
}

static void take(png_structp reader, png_bytep into, size_t count) {
  struct mpifs_png *file = png_get_io_ptr(reader);
  if (file->has_all) {
    file->taken_since += count;
    if (file->taken_since > most_after_the_pixels) png_error(reader, "holds more than its pixels");
  }
  if (count > file->count) png_error(reader, "ends before its pixels do");
  memcpy(into, file->bytes, count);
  file->bytes += count;
  file->count -= count;
}

// Called for each line that was unpacked, before libpng looks for what follows the last one.
static void note_line(png_structp reader, png_row_infop line, png_bytep pixels) {
  (void)line;
  (void)pixels;
  struct mpifs_png *file = png_get_user_transform_ptr(reader);
  png_uint_32 row = png_get_current_row_number(reader);
  png_uint_32 height = png_get_image_height(reader, file->info);
  if (png_get_interlace_type(reader, file->info) == PNG_INTERLACE_NONE) {
    file->has_all = row + 1 == height;
  } else {
    // The last pass has every second line.
    file->has_all = png_get_current_pass_number(reader) == 6 && row + 2 >= height;
  }
}

struct mpifs_png *mpifs_png_open(const void *bytes, size_t count, char message[mpifs_png_message_size]) {
  struct mpifs_png *file = calloc(1, sizeof *file);
  if (file == NULL) return NULL;
  file->bytes = bytes;
  file->count = count;
  file->reader = png_create_read_struct(PNG_LIBPNG_VER_STRING, file, on_error, on_warning);
  file->info = file->reader == NULL ? NULL : png_create_info_struct(file->reader);
  if (file->info == NULL || setjmp(png_jmpbuf(file->reader))) {
    memcpy(message, file->message, sizeof file->message);
    mpifs_png_close(file);
    return NULL;
  }
  png_set_read_fn(file->reader, file, take);
  // Whoever asked looks at the size, which costs nothing until the pixels are read.
  png_set_user_limits(file->reader, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_malloc_max(file->reader, most_memory_a_chunk);
  png_set_chunk_cache_max(file->reader, most_chunks);
  png_read_info(file->reader, file->info);
  return file;
}

uint32_t mpifs_png_width(const struct mpifs_png *file) { return png_get_image_width(file->reader, file->info); }

uint32_t mpifs_png_height(const struct mpifs_png *file) { return png_get_image_height(file->reader, file->info); }

int mpifs_png_read(struct mpifs_png *file, uint8_t *pixels, char message[mpifs_png_message_size]) {
  if (setjmp(png_jmpbuf(file->reader))) {
    memcpy(message, file->message, sizeof file->message);
    return 0;
  }
  png_set_read_user_transform_fn(file->reader, note_line);
  png_set_user_transform_info(file->reader, file, 0, 0);
  // Palettes become colours, a transparent colour alpha, few bits eight and 16 the nearest of eight.
  png_set_expand(file->reader);
  png_set_scale_16(file->reader);
  png_set_gray_to_rgb(file->reader);
  png_set_bgr(file->reader);
  png_set_add_alpha(file->reader, 0xff, PNG_FILLER_AFTER);
  int passes = png_set_interlace_handling(file->reader);
  png_read_update_info(file->reader, file->info);
  png_uint_32 height = png_get_image_height(file->reader, file->info);
  size_t line = (size_t)png_get_image_width(file->reader, file->info) * 4;
  if (png_get_rowbytes(file->reader, file->info) != line) png_error(file->reader, "has pixels of an unknown kind");
  for (int pass = 0; pass < passes; pass++)
    for (png_uint_32 row = 0; row < height; row++) png_read_row(file->reader, pixels + row * line, NULL);
  return 1;
}

void mpifs_png_close(struct mpifs_png *file) {
  png_destroy_read_struct(&file->reader, &file->info, NULL);
  free(file);
}
