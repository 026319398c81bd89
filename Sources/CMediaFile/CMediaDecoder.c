// SPDX-License-Identifier: Apache-2.0
#ifdef MPIFS_FFMPEG

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "FFmpegFunctions.h"

// Owns everything below; freed by close. Pictures it has given live as long as their memory's owner wants.
struct mpifs_media_decoder {
  mpifs_picture_hooks hooks;
  AVCodecContext *context;
  AVPacket *packet;
  AVFrame *frame;
  mpifs_media_scaler scaler;
};

// Gives the decoder a picture in the hooks' memory: what it writes is what the graph shows.
static int get_buffer(AVCodecContext *context, AVFrame *frame, int flags) {
  mpifs_media_decoder *decoder = context->opaque;
  frame->opaque = NULL;
  if ((!mpifs_media_is_i420(frame->format) && frame->format != AV_PIX_FMT_NV12) || !(context->codec->capabilities & AV_CODEC_CAP_DR1))
    return ff.avcodec_default_get_buffer2(context, frame, flags);
  int width = frame->width, height = frame->height;
  int alignment[AV_NUM_DATA_POINTERS];
  ff.avcodec_align_dimensions2(context, &width, &height, alignment);
  int is_planar = mpifs_media_is_i420(frame->format);
  mpifs_picture_request request = {
      // What is cropped is known only when the picture comes out.
      .width = frame->width,
      .height = frame->height,
      .format = is_planar ? MPIFS_MEDIA_I420 : MPIFS_MEDIA_NV12,
      // The decoder of H.265 does not say how many pictures it refers to; encoders use up to five or six.
      .references = (context->codec_id == AV_CODEC_ID_HEVC ? 6 : context->refs) + context->has_b_frames,
  };
  // Lines of chroma begin on 64 bytes too. Vector code may read and write a little past the last line of a plane.
  const int slack = 128;
  int64_t luma = (width + 127) & ~127, chroma = is_planar ? luma / 2 : luma;
  int lines = (height + 1) / 2;
  request.stride[0] = (int32_t)luma;
  request.stride[1] = request.stride[2] = (int32_t)chroma;
  request.offset[1] = luma * height + slack;
  request.offset[2] = request.offset[1] + chroma * lines + slack;
  request.size = is_planar ? request.offset[2] + chroma * lines + slack : request.offset[2];
  mpifs_picture_memory memory = decoder->hooks.take(decoder->hooks.context, &request);
  if (!memory.base) return ff.avcodec_default_get_buffer2(context, frame, flags);
  frame->buf[0] =
      ff.av_buffer_create(memory.base, (size_t)request.size, decoder->hooks.release, memory.owner, 0);
  if (!frame->buf[0]) {
    decoder->hooks.release(memory.owner, memory.base);
    return AVERROR(ENOMEM);
  }
  for (int plane = 0; plane < (is_planar ? 3 : 2); plane++) {
    frame->data[plane] = memory.base + request.offset[plane];
    frame->linesize[plane] = request.stride[plane];
  }
  frame->extended_data = frame->data;
  frame->opaque = memory.owner;
  return 0;
}

static void decoder_close(mpifs_media_decoder *decoder) {
  if (!decoder) return;
  ff.av_frame_free(&decoder->frame);
  ff.av_packet_free(&decoder->packet);
  ff.avcodec_free_context(&decoder->context);
  mpifs_media_end_scaler(&decoder->scaler);
  ff.av_free(decoder);
}

static int32_t decoder_open(const char *name, const mpifs_picture_hooks *hooks, mpifs_media_decoder **out, char *engine,
                            char *message, size_t size) {
  *out = NULL;
  mpifs_media_begin();
  enum AVCodecID id = !strcmp(name, "h264")    ? AV_CODEC_ID_H264
                      : !strcmp(name, "hevc")  ? AV_CODEC_ID_HEVC
                      : !strcmp(name, "vp8")   ? AV_CODEC_ID_VP8
                      : !strcmp(name, "mjpeg") ? AV_CODEC_ID_MJPEG
                                               : AV_CODEC_ID_NONE;
  const AVCodec *codec = ff.avcodec_find_decoder(id);
  if (!codec) {
    if (size) snprintf(message, size, "FFmpeg decodes no %s here", name);
    return -ENOTSUP;
  }
  mpifs_media_decoder *decoder = ff.av_mallocz(sizeof *decoder);
  if (!decoder) return -ENOMEM;
  decoder->hooks = *hooks;
  decoder->packet = ff.av_packet_alloc();
  decoder->frame = ff.av_frame_alloc();
  decoder->context = ff.avcodec_alloc_context3(codec);
  if (!decoder->packet || !decoder->frame || !decoder->context) {
    decoder_close(decoder);
    return -ENOMEM;
  }
  decoder->context->opaque = decoder;
  decoder->context->get_buffer2 = get_buffer;
  // Channels run side by side; threads of one would delay its pictures.
  decoder->context->thread_count = 1;
  // What is cropped at the left is cropped there, and not as far as the next multiple of an alignment.
  decoder->context->flags |= AV_CODEC_FLAG_UNALIGNED;
  int result = ff.avcodec_open2(decoder->context, codec, NULL);
  if (result < 0) {
    decoder_close(decoder);
    return mpifs_media_fail(result, "open decoder", message, size);
  }
  snprintf(engine, 64, "ffmpeg %s (libavcodec %d.%d.%d)", codec->name, LIBAVCODEC_VERSION_MAJOR,
           LIBAVCODEC_VERSION_MINOR, LIBAVCODEC_VERSION_MICRO);
  *out = decoder;
  return 1;
}

static int32_t decoder_send(mpifs_media_decoder *decoder, const uint8_t *bytes, int32_t count, int64_t pts,
                            char *message, size_t size) {
  mpifs_media_begin();
  if (!bytes) {
    int result = ff.avcodec_send_packet(decoder->context, NULL);
    return result < 0 && result != AVERROR_EOF ? mpifs_media_fail(result, "drain", message, size) : 1;
  }
  // Not counted by references: the decoder makes a copy with the padding it needs.
  decoder->packet->data = (uint8_t *)bytes;
  decoder->packet->size = count;
  decoder->packet->pts = pts;
  decoder->packet->dts = pts;
  int result = ff.avcodec_send_packet(decoder->context, decoder->packet);
  decoder->packet->data = NULL;
  decoder->packet->size = 0;
  return result < 0 ? mpifs_media_fail(result, "decode", message, size) : 1;
}

static int32_t decoder_receive(mpifs_media_decoder *decoder, mpifs_decoded_picture *picture, char *message,
                               size_t size) {
  AVFrame *frame = decoder->frame;
  int result = ff.avcodec_receive_frame(decoder->context, frame);
  if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return 0;
  if (result < 0) return mpifs_media_fail(result, "decode", message, size);
  memset(picture, 0, sizeof *picture);
  picture->width = frame->width;
  picture->height = frame->height;
  picture->format = frame->format == AV_PIX_FMT_NV12 ? MPIFS_MEDIA_NV12 : MPIFS_MEDIA_I420;
  picture->pts = frame->pts;
  picture->damaged = frame->decode_error_flags != 0 || frame->flags & AV_FRAME_FLAG_CORRUPT;
  picture->color = mpifs_media_color_of(frame);
  const char *pixels = ff.av_get_pix_fmt_name(frame->format);
  snprintf(picture->pixels, sizeof picture->pixels, "%s", pixels ? pixels : "unknown");
  // Pictures that stand upside down have negative strides.
  if (!frame->opaque || !frame->buf[0] || frame->buf[1] || frame->linesize[0] <= 0) return 1;
  for (int plane = 0; plane < 3 && frame->data[plane]; plane++) {
    picture->offset[plane] = frame->data[plane] - frame->buf[0]->data;
    picture->stride[plane] = frame->linesize[plane];
  }
  picture->owner = frame->opaque;
  return 1;
}

static int32_t decoder_copy(mpifs_media_decoder *decoder, uint8_t *const plane[3], const int32_t stride[3],
                            char *message, size_t size) {
  return mpifs_media_convert(&decoder->scaler, decoder->frame, plane, stride, message, size);
}

static void decoder_flush(mpifs_media_decoder *decoder) { ff.avcodec_flush_buffers(decoder->context); }

const mpifs_decoder_functions mpifs_decoder = {
    .open = decoder_open,
    .send = decoder_send,
    .receive = decoder_receive,
    .copy = decoder_copy,
    .flush = decoder_flush,
    .close = decoder_close,
};

#endif
