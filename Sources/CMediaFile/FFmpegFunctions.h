// SPDX-License-Identifier: Apache-2.0
// Every function of FFmpeg that is used, resolved when the libraries are loaded. The types come from FFmpeg's own headers,
// so a call through the table is checked like any other.
#pragma once
#include <stdatomic.h>

#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/avstring.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "CMediaFile.h"

// One line a function: library and name.
#define MPIFS_FFMPEG_FUNCTIONS(F) \
  F(avutil, av_asprintf) \
  F(avutil, av_buffer_create) \
  F(avutil, av_dict_free) \
  F(avutil, av_dict_set) \
  F(avutil, av_frame_alloc) \
  F(avutil, av_frame_free) \
  F(avutil, av_frame_get_buffer) \
  F(avutil, av_frame_unref) \
  F(avutil, av_free) \
  F(avutil, av_get_pix_fmt_name) \
  F(avutil, av_log_set_callback) \
  F(avutil, av_mallocz) \
  F(avutil, av_pix_fmt_desc_get) \
  F(avutil, av_rescale_q) \
  F(avutil, av_strerror) \
  F(avcodec, av_packet_alloc) \
  F(avcodec, av_packet_free) \
  F(avcodec, av_packet_unref) \
  F(avcodec, av_bsf_alloc) \
  F(avcodec, av_bsf_flush) \
  F(avcodec, av_bsf_free) \
  F(avcodec, av_bsf_get_by_name) \
  F(avcodec, av_bsf_init) \
  F(avcodec, av_bsf_receive_packet) \
  F(avcodec, av_bsf_send_packet) \
  F(avcodec, avcodec_align_dimensions2) \
  F(avcodec, avcodec_alloc_context3) \
  F(avcodec, avcodec_default_get_buffer2) \
  F(avcodec, avcodec_descriptor_get_by_name) \
  F(avcodec, avcodec_find_decoder) \
  F(avcodec, avcodec_flush_buffers) \
  F(avcodec, avcodec_free_context) \
  F(avcodec, avcodec_get_name) \
  F(avcodec, avcodec_open2) \
  F(avcodec, avcodec_parameters_copy) \
  F(avcodec, avcodec_parameters_to_context) \
  F(avcodec, avcodec_receive_frame) \
  F(avcodec, avcodec_send_packet) \
  F(avformat, av_find_best_stream) \
  F(avformat, av_guess_frame_rate) \
  F(avformat, av_guess_sample_aspect_ratio) \
  F(avformat, av_read_frame) \
  F(avformat, av_seek_frame) \
  F(avformat, av_write_frame) \
  F(avformat, avformat_alloc_context) \
  F(avformat, avformat_alloc_output_context2) \
  F(avformat, avformat_close_input) \
  F(avformat, avformat_find_stream_info) \
  F(avformat, avformat_free_context) \
  F(avformat, avformat_new_stream) \
  F(avformat, avformat_open_input) \
  F(avformat, avformat_write_header) \
  F(avformat, avio_alloc_context) \
  F(avformat, avio_context_free) \
  F(avformat, avio_flush) \
  F(swscale, sws_freeContext) \
  F(swscale, sws_getContext) \
  F(swscale, sws_getCoefficients) \
  F(swscale, sws_scale) \
  F(swscale, sws_setColorspaceDetails)

// FFmpeg, once it is loaded.
#define ff mpifs_ff

#define MPIFS_DECLARE(library, name) __typeof__(&name) name;
typedef struct {
  MPIFS_FFMPEG_FUNCTIONS(MPIFS_DECLARE)
} mpifs_ffmpeg;

extern mpifs_ffmpeg mpifs_ff;

// FFmpeg's error and its last complaint on this thread as a text, and as -errno.
int32_t mpifs_media_fail(int error, const char *what, char *message, size_t size);
// Forgets what FFmpeg complained about before.
void mpifs_media_begin(void);
// Whether it has complained since.
int mpifs_media_has_complained(void);
// Ends calls that would read on and on: nothing comes of a hole of zeros at the end of a file, and FFmpeg keeps what it
// has read until something does.
typedef struct {
  // Every call ends, and every later one. From any thread.
  atomic_int interrupted;
  // What is being read; NULL while nothing is open.
  AVFormatContext *format;
  // Bytes that may have been read at the end of the call.
  int64_t limit;
  // When opening is given up, microseconds of CLOCK_MONOTONIC; 0 for never.
  int64_t deadline;
  // The call was ended by one of these limits.
  int is_exhausted;
} mpifs_media_patience;

// The callback of FFmpeg; `opaque` is the patience.
int mpifs_media_gives_up(void *opaque);
static inline int mpifs_media_is_interrupted(mpifs_media_patience *patience) {
  return atomic_load_explicit(&patience->interrupted, memory_order_acquire);
}
// Before one packet of the stream is read.
void mpifs_media_next_packet(mpifs_media_patience *patience, int stream);

// 0 for a regular file that may be read, else -errno: opening a pipe, a device or a file of the kernel's own filesystems
// could block for ever.
int32_t mpifs_media_check(const char *path, char *message, size_t size);
// Opens `url` and finds its video stream; of the others nothing is read. `decoder` is NULL where none is needed. What
// was opened is in `format` in any case.
int32_t mpifs_media_open_format(AVFormatContext **format, const char *url, mpifs_media_patience *patience, int *stream,
                                const AVCodec **decoder, char *message, size_t size);
// What a file and its stream say of themselves, but for the format of the pixels.
void mpifs_media_describe(AVFormatContext *format, AVStream *stream, mpifs_media_info *info);

// What the samples of a decoded picture mean once it lies as I420 or NV12: of RGB BT.601 in limited range is made, everything else
// keeps its samples.
mpifs_media_color mpifs_media_color_of(const AVFrame *frame);
// What a stream's headers say of them.
mpifs_media_color mpifs_media_color_told(const AVCodecParameters *told, AVRational aspect);
static inline int mpifs_media_is_i420(int format) {
  return format == AV_PIX_FMT_YUV420P || format == AV_PIX_FMT_YUVJ420P;
}
// What makes 4:2:0 of pictures of one kind. Begins as zeros; made when one is converted, and made anew for pictures of another kind.
typedef struct {
  struct SwsContext *context;
  int width, height;
  // An AVPixelFormat.
  int format;
} mpifs_media_scaler;
// Makes an 8-bit 4:2:0 picture of whatever was decoded, its samples' range kept.
int32_t mpifs_media_convert(mpifs_media_scaler *scaler, const AVFrame *frame, uint8_t *const plane[3],
                            const int32_t stride[3], char *message, size_t size);
void mpifs_media_end_scaler(mpifs_media_scaler *scaler);

// Time stamps are the file's to choose: sums and differences that do not fit end at the last number there is.
static inline int64_t mpifs_media_sum(int64_t stamp, int64_t duration) {
  int64_t sum;
  return __builtin_add_overflow(stamp, duration, &sum) ? INT64_MAX : sum;
}
static inline int64_t mpifs_media_distance(int64_t stamp, int64_t from) {
  int64_t distance;
  if (!__builtin_sub_overflow(stamp, from, &distance)) return distance;
  return stamp < from ? -INT64_MAX : INT64_MAX;
}

// Loads the libraries and fills the table. 1, or 0 with `message` saying which library or function is missing.
int mpifs_ffmpeg_load(mpifs_ffmpeg *functions, char *message, size_t size);

extern const mpifs_decoder_functions mpifs_decoder;
extern const mpifs_packet_functions mpifs_packets;
extern const mpifs_muxer_functions mpifs_muxer;
