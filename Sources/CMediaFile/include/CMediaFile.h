// SPDX-License-Identifier: Apache-2.0
// Reads any media file FFmpeg knows. FFmpeg's libraries are loaded on first use and never linked: they cost 50 ms and
// 27 MB, which a pipeline on a camera does not pay.
#pragma once
#include <stddef.h>
#include <stdint.h>

// How the planes of a decoded picture lie. All are 8 bit a sample, limited range.
enum {
  MPIFS_MEDIA_I420 = 1,
  MPIFS_MEDIA_NV12 = 2,
};

// A media file being read. Owned by the caller between open and close; used by one thread at a time, except for
// `interrupt`.
typedef struct mpifs_media_file mpifs_media_file;

typedef struct {
  int32_t width, height;
  // Frames a second as a fraction; 0/1 when the file does not say.
  int32_t rate_num, rate_den;
  // FFmpeg's names: "h264", "mov", "yuv420p".
  char codec[32], container[32], pixels[32];
} mpifs_media_info;

typedef struct {
  const uint8_t *plane[3];
  int32_t stride[3];
  int32_t width, height;
  int32_t format;
  // Microseconds from the file's first picture.
  int64_t pts;
  // How long this picture is shown, in microseconds; 0 when unknown.
  int64_t duration;
  // Not 0: the decoder marked it as damaged.
  int32_t damaged;
} mpifs_media_picture;

// Results: 1 = done, 0 = end of the file, negative = -errno; `message` (of `size` bytes) then says why.
typedef struct {
  int32_t (*open)(const char *path, int32_t threads, mpifs_media_file **file, mpifs_media_info *info, char *message,
                  size_t size);
  // The next picture; its planes stay valid until the next call on this file.
  int32_t (*next)(mpifs_media_file *file, mpifs_media_picture *picture, char *message, size_t size);
  // Back to the first picture.
  int32_t (*rewind)(mpifs_media_file *file, char *message, size_t size);
  // Packets the decoder refused so far.
  uint64_t (*refused)(const mpifs_media_file *file);
  // Makes a blocked call return -EINTR, and every later one. From any thread.
  void (*interrupt)(mpifs_media_file *file);
  void (*close)(mpifs_media_file *file);
  // "FFmpeg 59.27.100"
  const char *version;
} mpifs_media_functions;

// Loads FFmpeg's libraries of the major versions this was compiled for, at the first call that succeeds; not
// thread-safe until then. NULL when they cannot be loaded or this was compiled without FFmpeg; `message` then says why.
const mpifs_media_functions *mpifs_media_library(char *message, size_t size);
