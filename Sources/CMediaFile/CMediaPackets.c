// SPDX-License-Identifier: Apache-2.0
#ifdef MPIFS_FFMPEG

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "FFmpegFunctions.h"

// Owns everything below; freed by close.
struct mpifs_media_packets {
  AVFormatContext *format;
  // Makes start codes and parameter sets in the stream of what the container keeps apart.
  AVBSFContext *filter;
  AVPacket *packet;
  int stream;
  int at_end;
  // That the file ends within something was told.
  int told_cut;
  int64_t first_pts;
  int has_first;
  mpifs_media_patience patience;
};

static void packets_close(mpifs_media_packets *packets) {
  if (!packets) return;
  ff.av_bsf_free(&packets->filter);
  packets->patience.format = NULL;
  ff.avformat_close_input(&packets->format);
  ff.av_packet_free(&packets->packet);
  ff.av_free(packets);
}

static int32_t open_input(mpifs_media_packets *packets, const char *url, char *message, size_t size) {
  int32_t result = mpifs_media_open_format(&packets->format, url, &packets->patience, &packets->stream, NULL,
                                           message, size);
  if (result < 0) return result;
  AVStream *stream = packets->format->streams[packets->stream];
  const char *name = NULL;
  if (stream->codecpar->codec_id == AV_CODEC_ID_H264) name = "h264_mp4toannexb";
  if (stream->codecpar->codec_id == AV_CODEC_ID_HEVC) name = "hevc_mp4toannexb";
  if (!name) return 1;
  const AVBitStreamFilter *filter = ff.av_bsf_get_by_name(name);
  if (!filter) {
    if (size) snprintf(message, size, "FFmpeg has no %s", name);
    return -ENOTSUP;
  }
  result = ff.av_bsf_alloc(filter, &packets->filter);
  if (result >= 0) result = ff.avcodec_parameters_copy(packets->filter->par_in, stream->codecpar);
  if (result < 0) return mpifs_media_fail(result, name, message, size);
  packets->filter->time_base_in = stream->time_base;
  result = ff.av_bsf_init(packets->filter);
  return result < 0 ? mpifs_media_fail(result, name, message, size) : 1;
}

static int32_t packets_open(const char *path, mpifs_media_packets **out, mpifs_media_info *info, char *message,
                            size_t size) {
  *out = NULL;
  int32_t result = mpifs_media_check(path, message, size);
  if (result < 0) return result;
  mpifs_media_packets *packets = ff.av_mallocz(sizeof *packets);
  if (!packets) return mpifs_media_fail(AVERROR(ENOMEM), "open", message, size);
  char *url = ff.av_asprintf("file:%s", path);
  packets->packet = ff.av_packet_alloc();
  result = url && packets->packet ? open_input(packets, url, message, size)
                                  : mpifs_media_fail(AVERROR(ENOMEM), "open", message, size);
  ff.av_free(url);
  if (result < 0) {
    packets_close(packets);
    return result;
  }
  mpifs_media_describe(packets->format, packets->format->streams[packets->stream], info);
  *out = packets;
  return 1;
}

// Reads one packet of the stream into `packet`: 1, 0 at the end, -errno.
static int32_t read_packet(mpifs_media_packets *packets, char *message, size_t size) {
  for (;;) {
    if (mpifs_media_is_interrupted(&packets->patience))
      return mpifs_media_fail(AVERROR_EXIT, "read", message, size);
    mpifs_media_next_packet(&packets->patience, packets->stream);
    int result = ff.av_read_frame(packets->format, packets->packet);
    if (result == AVERROR_EOF || (result < 0 && packets->patience.is_exhausted) || (result < 0 && packets->format->pb && packets->format->pb->eof_reached)) return 0;
    if (result == AVERROR(EAGAIN)) continue;
    if (result < 0) return mpifs_media_fail(result, "read", message, size);
    if (packets->packet->stream_index == packets->stream) return 1;
    ff.av_packet_unref(packets->packet);
  }
}

// The next packet as the filter makes it: 1, 0 at the end, -errno; 2 for one that is none, since it is cut off or damaged.
static int32_t filtered(mpifs_media_packets *packets, char *message, size_t size) {
  if (!packets->filter) return read_packet(packets, message, size);
  for (;;) {
    int result = ff.av_bsf_receive_packet(packets->filter, packets->packet);
    if (result >= 0) return 1;
    if (result == AVERROR_EOF) return 0;
    if (result == AVERROR_INVALIDDATA) return 2;
    if (result != AVERROR(EAGAIN)) return mpifs_media_fail(result, "read", message, size);
    if (packets->at_end) return 0;
    int32_t read = read_packet(packets, message, size);
    if (read < 0) return read;
    if (read == 0) packets->at_end = 1;
    result = ff.av_bsf_send_packet(packets->filter, read ? packets->packet : NULL);
    if (result < 0) {
      ff.av_packet_unref(packets->packet);
      if (result == AVERROR_INVALIDDATA) return 2;
      return mpifs_media_fail(result, "read", message, size);
    }
  }
}

static int32_t packets_next(mpifs_media_packets *packets, mpifs_media_packet *out, char *message, size_t size) {
  mpifs_media_begin();
  ff.av_packet_unref(packets->packet);
  if (!packets->format) return mpifs_media_fail(AVERROR(EIO), "read", message, size);
  int32_t result = filtered(packets, message, size);
  // Some demuxers leave out what the file ends in, and only say so.
  if (result == 0 && mpifs_media_has_complained() && !packets->told_cut) result = 2;
  if (result <= 0) return result;
  if (result == 2) {
    packets->told_cut = 1;
    *out = (mpifs_media_packet){.pts = INT64_MIN, .is_cut_off = 1};
    return 1;
  }
  AVPacket *packet = packets->packet;
  AVRational base = packets->format->streams[packets->stream]->time_base;
  out->bytes = packet->data;
  out->size = packet->size;
  out->is_cut_off = packet->flags & AV_PKT_FLAG_CORRUPT;
  out->pts = INT64_MIN;
  if (packet->pts != AV_NOPTS_VALUE) {
    if (!packets->has_first) {
      int64_t start = packets->format->streams[packets->stream]->start_time;
      packets->first_pts = start != AV_NOPTS_VALUE ? start : packet->pts;
      packets->has_first = 1;
    }
    out->pts = ff.av_rescale_q(mpifs_media_distance(packet->pts, packets->first_pts), base, AV_TIME_BASE_Q);
  }
  out->duration = packet->duration > 0 ? ff.av_rescale_q(packet->duration, base, AV_TIME_BASE_Q) : 0;
  return 1;
}

static void packets_interrupt(mpifs_media_packets *packets) {
  atomic_store_explicit(&packets->patience.interrupted, 1, memory_order_release);
}

const mpifs_packet_functions mpifs_packets = {
    .open = packets_open,
    .next = packets_next,
    .interrupt = packets_interrupt,
    .close = packets_close,
};

#endif
