// SPDX-License-Identifier: Apache-2.0
// Reads any media file FFmpeg knows, and puts coded pictures into containers. FFmpeg's libraries are loaded on first use and never linked: they cost 50 ms and
// 27 MB, which a pipeline on a camera does not pay.
#pragma once
#include <stddef.h>
#include <stdint.h>

// How the planes of a decoded picture lie. All are 8 bit a sample.
enum {
  MPIFS_MEDIA_I420 = 1,
  MPIFS_MEDIA_NV12 = 2,
};

// What samples mean: code points of ITU-T H.273, 2 where nobody says.
typedef struct {
  uint8_t matrix, primaries, transfer;
  // Not 0: samples use 0..255.
  uint8_t is_full;
  // Width of a sample to its height; 0 where nobody says.
  int32_t aspect_num, aspect_den;
} mpifs_media_color;

// A media file being read. Owned by the caller between open and close; used by one thread at a time, except for
// `interrupt`.
typedef struct mpifs_media_file mpifs_media_file;

typedef struct {
  int32_t width, height;
  // Frames a second as a fraction; 0/1 when the file does not say.
  int32_t rate_num, rate_den;
  // FFmpeg's names: "h264", "mov", "yuv420p".
  char codec[32], container[32], pixels[32];
  // As far as the file's headers tell.
  mpifs_media_color color;
  // Degrees clockwise that a player turns the pictures by, 0..359.
  int32_t rotation;
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
  mpifs_media_color color;
} mpifs_media_picture;

// One access unit of a file, with start codes and its parameter sets.
typedef struct {
  const uint8_t *bytes;
  int64_t size;
  // Microseconds from the first picture; INT64_MIN when unknown.
  int64_t pts;
  int64_t duration;
  // Not 0: the file ends within it, or says that it is damaged. It may have no bytes then.
  int32_t is_cut_off;
} mpifs_media_packet;

// A media file whose packets are read without decoding them; used as mpifs_media_file.
typedef struct mpifs_media_packets mpifs_media_packets;

// As in mpifs_media_functions below.
typedef struct {
  int32_t (*open)(const char *path, mpifs_media_packets **packets, mpifs_media_info *info, char *message, size_t size);
  // The next unit, valid until the next call.
  int32_t (*next)(mpifs_media_packets *packets, mpifs_media_packet *packet, char *message, size_t size);
  void (*interrupt)(mpifs_media_packets *packets);
  void (*close)(mpifs_media_packets *packets);
} mpifs_packet_functions;

// Memory a decoder wants for a picture.
typedef struct {
  // As it will be shown.
  int32_t width, height;
  int32_t format;
  int32_t stride[3];
  int64_t offset[3];
  int64_t size;
  // Pictures the decoder keeps at most besides those it has given.
  int32_t references;
} mpifs_picture_request;

typedef struct {
  // NULL: there is none now; the decoder then uses its own.
  uint8_t *base;
  // Given back by `release`.
  void *owner;
} mpifs_picture_memory;

// Who gives the memory. Called inside the calls of the decoder, on their thread.
typedef struct {
  void *context;
  mpifs_picture_memory (*take)(void *context, const mpifs_picture_request *request);
  void (*release)(void *owner, uint8_t *base);
} mpifs_picture_hooks;

typedef struct {
  int32_t width, height;
  int32_t format;
  // What `take` gave, when the picture lies there; NULL when it lies elsewhere and must be copied.
  void *owner;
  // From the start of that memory.
  int64_t offset[3];
  int32_t stride[3];
  // Of the packet it was made from.
  int64_t pts;
  // Not 0: the decoder marked it as damaged.
  int32_t damaged;
  // FFmpeg's name of how it lies: "yuv422p".
  char pixels[32];
  // Of the picture as it is given here.
  mpifs_media_color color;
} mpifs_decoded_picture;

// Decodes packets. Owned by the caller between open and close; used by one thread at a time.
typedef struct mpifs_media_decoder mpifs_media_decoder;

typedef struct {
  // `codec` is FFmpeg's name. `engine` (of 64 bytes) becomes what decodes: "h264 (libavcodec 59.37.100)".
  int32_t (*open)(const char *codec, const mpifs_picture_hooks *hooks, mpifs_media_decoder **decoder, char *engine,
                  char *message, size_t size);
  // Takes one packet; its bytes are copied. NULL begins draining.
  int32_t (*send)(mpifs_media_decoder *decoder, const uint8_t *bytes, int32_t count, int64_t pts, char *message,
                  size_t size);
  // The next picture, valid until the next call; 0 when there is none now.
  int32_t (*receive)(mpifs_media_decoder *decoder, mpifs_decoded_picture *picture, char *message, size_t size);
  // Writes the picture just received as I420, its samples' range kept.
  int32_t (*copy)(mpifs_media_decoder *decoder, uint8_t *const plane[3], const int32_t stride[3], char *message,
                  size_t size);
  // Forgets everything; also ends draining.
  void (*flush)(mpifs_media_decoder *decoder);
  void (*close)(mpifs_media_decoder *decoder);
} mpifs_decoder_functions;

// Times given to a muxer: so many a second.
#define MPIFS_MUXER_TICKS 90000

// Puts the coded pictures of one stream into a container, in memory. Owned by the caller between open and close; used by
// one thread at a time.
typedef struct mpifs_media_muxer mpifs_media_muxer;

typedef struct {
  // FFmpeg's names: "mpegts", "mp4"; "h264", "hevc".
  const char *container, *codec;
  // Parameter sets with start codes.
  const uint8_t *sets;
  int32_t sets_size;
  int32_t width, height;
  // What a player shows as the programme's name, where the container has one.
  const char *name;
} mpifs_muxer_setup;

typedef struct {
  // Also writes what the file begins with.
  int32_t (*open)(const mpifs_muxer_setup *setup, mpifs_media_muxer **muxer, char *message, size_t size);
  // One picture with start codes, in the order of decoding, which is that of showing. `time` is later than that of the
  // picture before; `duration` is at least 1. All of it comes out at once.
  int32_t (*write)(mpifs_media_muxer *muxer, const uint8_t *bytes, int64_t count, int64_t time, int64_t duration,
                   int32_t is_key, char *message, size_t size);
  // What has come out since this was called last, valid until the next call; returns the number of bytes.
  int64_t (*take)(mpifs_media_muxer *muxer, const uint8_t **bytes);
  void (*close)(mpifs_media_muxer *muxer);
} mpifs_muxer_functions;

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
  const mpifs_decoder_functions *decoder;
  const mpifs_packet_functions *packets;
  const mpifs_muxer_functions *muxer;
  // "FFmpeg 59.27.100"
  const char *version;
} mpifs_media_functions;

// Loads FFmpeg's libraries of the major versions this was compiled for, at the first call that succeeds; not
// thread-safe until then. NULL when they cannot be loaded or this was compiled without FFmpeg; `message` then says why.
const mpifs_media_functions *mpifs_media_library(char *message, size_t size);
