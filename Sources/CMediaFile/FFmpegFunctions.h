// SPDX-License-Identifier: Apache-2.0
// Every function of FFmpeg that is used, resolved when the libraries are loaded. The types come from FFmpeg's own headers,
// so a call through the table is checked like any other.
#pragma once
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avstring.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

// One line a function: library and name.
#define MPIFS_FFMPEG_FUNCTIONS(F) \
  F(avutil, av_asprintf) \
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
  F(avcodec, avcodec_alloc_context3) \
  F(avcodec, avcodec_flush_buffers) \
  F(avcodec, avcodec_free_context) \
  F(avcodec, avcodec_get_name) \
  F(avcodec, avcodec_open2) \
  F(avcodec, avcodec_parameters_to_context) \
  F(avcodec, avcodec_receive_frame) \
  F(avcodec, avcodec_send_packet) \
  F(avformat, av_find_best_stream) \
  F(avformat, av_guess_frame_rate) \
  F(avformat, av_read_frame) \
  F(avformat, av_seek_frame) \
  F(avformat, avformat_alloc_context) \
  F(avformat, avformat_close_input) \
  F(avformat, avformat_find_stream_info) \
  F(avformat, avformat_open_input) \
  F(swscale, sws_freeContext) \
  F(swscale, sws_getCachedContext) \
  F(swscale, sws_getCoefficients) \
  F(swscale, sws_scale) \
  F(swscale, sws_setColorspaceDetails)

#define MPIFS_DECLARE(library, name) __typeof__(&name) name;
typedef struct {
  MPIFS_FFMPEG_FUNCTIONS(MPIFS_DECLARE)
} mpifs_ffmpeg;

// Loads the libraries and fills the table. 1, or 0 with `message` saying which library or function is missing.
int mpifs_ffmpeg_load(mpifs_ffmpeg *functions, char *message, size_t size);
