// SPDX-License-Identifier: Apache-2.0
#ifdef MPIFS_FFMPEG

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "FFmpegFunctions.h"

static int is_rgb(int format) {
  const AVPixFmtDescriptor *pixels = ff.av_pix_fmt_desc_get(format);
  return pixels && pixels->flags & AV_PIX_FMT_FLAG_RGB;
}

// FFmpeg's numbers are those of H.273.
static uint8_t code(int number) { return number >= 0 && number <= 255 ? (uint8_t)number : 2; }

static int is_full(int range, int format) {
  const char *name = ff.av_get_pix_fmt_name(format);
  return range == AVCOL_RANGE_JPEG || (name && !strncmp(name, "yuvj", 4));
}

mpifs_media_color mpifs_media_color_of(const AVFrame *frame) {
  int rgb = is_rgb(frame->format);
  return (mpifs_media_color){
      .matrix = rgb ? AVCOL_SPC_SMPTE170M : code(frame->colorspace),
      .primaries = code(frame->color_primaries),
      .transfer = code(frame->color_trc),
      .is_full = !rgb && is_full(frame->color_range, frame->format),
      .aspect_num = frame->sample_aspect_ratio.num,
      .aspect_den = frame->sample_aspect_ratio.den,
  };
}

mpifs_media_color mpifs_media_color_told(const AVCodecParameters *told, AVRational aspect) {
  int rgb = is_rgb(told->format);
  return (mpifs_media_color){
      .matrix = rgb ? AVCOL_SPC_SMPTE170M : code(told->color_space),
      .primaries = code(told->color_primaries),
      .transfer = code(told->color_trc),
      .is_full = !rgb && is_full(told->color_range, told->format),
      .aspect_num = aspect.num,
      .aspect_den = aspect.den,
  };
}

// The same samples under the name that says nothing of their range: swscale goes by the name, too, and not by what it is told alone.
static enum AVPixelFormat without_range(enum AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ411P: return AV_PIX_FMT_YUV411P;
    case AV_PIX_FMT_YUVJ420P: return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P: return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ440P: return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ444P: return AV_PIX_FMT_YUV444P;
    default: return format;
  }
}

void mpifs_media_end_scaler(mpifs_media_scaler *scaler) {
  ff.sws_freeContext(scaler->context);
  *scaler = (mpifs_media_scaler){0};
}

// Makes a scaler for pictures like this one, where the one there is was made for others.
static int prepare(mpifs_media_scaler *scaler, const AVFrame *frame) {
  if (scaler->context && scaler->width == frame->width && scaler->height == frame->height &&
      scaler->format == frame->format)
    return 1;
  mpifs_media_end_scaler(scaler);
  struct SwsContext *made =
      ff.sws_getContext(frame->width, frame->height, without_range(frame->format), frame->width, frame->height,
                        AV_PIX_FMT_YUV420P, SWS_BILINEAR | SWS_ACCURATE_RND, NULL, NULL, NULL);
  if (!made) return 0;
  // The same range on both sides: samples stay as they were coded. Only RGB has none and becomes limited.
  const int *matrix = ff.sws_getCoefficients(SWS_CS_DEFAULT);
  ff.sws_setColorspaceDetails(made, matrix, is_rgb(frame->format), matrix, 0, 0, 1 << 16, 1 << 16);
  *scaler = (mpifs_media_scaler){made, frame->width, frame->height, frame->format};
  return 1;
}

int32_t mpifs_media_convert(mpifs_media_scaler *scaler, const AVFrame *frame, uint8_t *const plane[3],
                            const int32_t stride[3], char *message, size_t size) {
  if (!prepare(scaler, frame)) {
    if (size) snprintf(message, size, "pixel format %s cannot be converted", ff.av_get_pix_fmt_name(frame->format));
    return -ENOTSUP;
  }
  int result = ff.sws_scale(scaler->context, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height,
                            plane, stride);
  return result < 0 ? mpifs_media_fail(result, "convert", message, size) : 1;
}

#endif
