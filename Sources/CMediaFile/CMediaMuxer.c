// SPDX-License-Identifier: Apache-2.0
#ifdef MPIFS_FFMPEG

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "FFmpegFunctions.h"

// Owns everything below; freed by close.
struct mpifs_media_muxer {
  AVFormatContext *format;
  AVPacket *packet;
  // The picture as libavformat wants it: with zeros behind it, since its search for start codes looks past the end.
  uint8_t *picture;
  size_t picture_capacity;
  // What has come out and was not taken.
  uint8_t *bytes;
  size_t count, capacity;
  int is_mp4;
  // MP4: the sum of the durations given so far.
  int64_t sum;
};

// MPEG-TS has this clock, and of it whole pictures of all usual rates are a whole number of ticks.
static const AVRational ticks = {1, MPIFS_MUXER_TICKS};

// Makes room for `needed` bytes in a buffer that keeps its size. 0, or -ENOMEM.
static int grow(uint8_t **buffer, size_t *capacity, size_t needed) {
  if (needed <= *capacity) return 0;
  size_t larger = *capacity ? *capacity : 16 << 10;
  while (larger < needed) larger *= 2;
  uint8_t *moved = realloc(*buffer, larger);
  if (!moved) return AVERROR(ENOMEM);
  *buffer = moved;
  *capacity = larger;
  return 0;
}

#if LIBAVFORMAT_VERSION_MAJOR >= 61
static int take_bytes(void *opaque, const uint8_t *data, int size) {
#else
static int take_bytes(void *opaque, uint8_t *data, int size) {
#endif
  mpifs_media_muxer *muxer = opaque;
  int result = grow(&muxer->bytes, &muxer->capacity, muxer->count + (size_t)size);
  if (result < 0) return result;
  memcpy(muxer->bytes + muxer->count, data, (size_t)size);
  muxer->count += (size_t)size;
  return size;
}

static void muxer_close(mpifs_media_muxer *muxer) {
  if (!muxer) return;
  if (muxer->format && muxer->format->pb) {
    ff.av_free(muxer->format->pb->buffer);
    ff.avio_context_free(&muxer->format->pb);
  }
  ff.avformat_free_context(muxer->format);
  ff.av_packet_free(&muxer->packet);
  free(muxer->picture);
  free(muxer->bytes);
  ff.av_free(muxer);
}

static int describe(mpifs_media_muxer *muxer, const mpifs_muxer_setup *setup) {
  const AVCodecDescriptor *codec = ff.avcodec_descriptor_get_by_name(setup->codec);
  AVStream *stream = ff.avformat_new_stream(muxer->format, NULL);
  if (!codec || !stream) return codec ? AVERROR(ENOMEM) : AVERROR(ENOTSUP);
  stream->time_base = ticks;
  AVCodecParameters *parameters = stream->codecpar;
  parameters->codec_type = AVMEDIA_TYPE_VIDEO;
  parameters->codec_id = codec->id;
  parameters->width = setup->width;
  parameters->height = setup->height;
  // Apple's players take H.265 by this name only.
  if (muxer->is_mp4 && codec->id == AV_CODEC_ID_HEVC) parameters->codec_tag = MKTAG('h', 'v', 'c', '1');
  parameters->extradata = ff.av_mallocz((size_t)setup->sets_size + AV_INPUT_BUFFER_PADDING_SIZE);
  if (!parameters->extradata) return AVERROR(ENOMEM);
  memcpy(parameters->extradata, setup->sets, (size_t)setup->sets_size);
  parameters->extradata_size = setup->sets_size;
  ff.av_dict_set(&muxer->format->metadata, "service_provider", "mpifs", 0);
  ff.av_dict_set(&muxer->format->metadata, "service_name", setup->name, 0);
  // Times are what they are: no delay is added to them.
  muxer->format->max_delay = 0;
  return 0;
}

static int begin(mpifs_media_muxer *muxer) {
  const int io_size = 32 << 10;
  uint8_t *buffer = ff.av_mallocz((size_t)io_size);
  if (!buffer) return AVERROR(ENOMEM);
  muxer->format->pb = ff.avio_alloc_context(buffer, io_size, 1, muxer, NULL, take_bytes, NULL);
  if (!muxer->format->pb) {
    ff.av_free(buffer);
    return AVERROR(ENOMEM);
  }
  muxer->format->flags |= AVFMT_FLAG_CUSTOM_IO;
  AVDictionary *options = NULL;
  // The index of all fragments, which would go to the end of the file, grows as long as the file is written.
  if (muxer->is_mp4)
    ff.av_dict_set(&options, "movflags", "empty_moov+default_base_moof+frag_custom+skip_trailer", 0);
  else
    // Who reads a picture knows where it ends, and need not wait for the next one.
    ff.av_dict_set(&options, "omit_video_pes_length", "0", 0);
  int result = ff.avformat_write_header(muxer->format, &options);
  ff.av_dict_free(&options);
  if (result >= 0) ff.avio_flush(muxer->format->pb);
  return result;
}

static int32_t muxer_open(const mpifs_muxer_setup *setup, mpifs_media_muxer **out, char *message, size_t size) {
  mpifs_media_begin();
  *out = NULL;
  mpifs_media_muxer *muxer = ff.av_mallocz(sizeof *muxer);
  if (!muxer) return mpifs_media_fail(AVERROR(ENOMEM), "open", message, size);
  muxer->is_mp4 = !strcmp(setup->container, "mp4");
  muxer->packet = ff.av_packet_alloc();
  int result = muxer->packet ? ff.avformat_alloc_output_context2(&muxer->format, NULL, setup->container, NULL)
                             : AVERROR(ENOMEM);
  if (result >= 0) result = describe(muxer, setup);
  if (result >= 0) result = begin(muxer);
  if (result < 0) {
    muxer_close(muxer);
    return mpifs_media_fail(result, setup->container, message, size);
  }
  *out = muxer;
  return 1;
}

static uint32_t number(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

// Makes the bytes from `*bytes` to `*end` those inside the first box of this name among them. 1, or 0 where there is none.
static int enter(uint8_t **bytes, uint8_t **end, const char *name) {
  while (*end - *bytes >= 8) {
    uint32_t size = number(*bytes);
    if (size < 8 || size > *end - *bytes) return 0;
    if (!memcmp(*bytes + 4, name, 4)) {
      *end = *bytes + size;
      *bytes += 8;
      return 1;
    }
    *bytes += size;
  }
  return 0;
}

// Sets the time of the one fragment that stands in the last bytes (ISO/IEC 14496-12, 8.8.12). libavformat would have it begin
// where the durations before it add up to, and they are guesses: how long a picture is shown is known when the next one comes.
static int set_fragment_time(mpifs_media_muxer *muxer, size_t from, int64_t time) {
  uint8_t *bytes = muxer->bytes + from, *end = muxer->bytes + muxer->count;
  if (!enter(&bytes, &end, "moof") || !enter(&bytes, &end, "traf") || !enter(&bytes, &end, "tfdt") || end - bytes < 12 ||
      bytes[0] != 1)
    return AVERROR_PATCHWELCOME;
  for (int index = 0; index < 8; index++) bytes[4 + index] = (uint8_t)((uint64_t)time >> (56 - 8 * index));
  return 0;
}

static int32_t muxer_write(mpifs_media_muxer *muxer, const uint8_t *bytes, int64_t count, int64_t time,
                           int64_t duration, int32_t is_key, char *message, size_t size) {
  mpifs_media_begin();
  if (count <= 0 || count > INT32_MAX - AV_INPUT_BUFFER_PADDING_SIZE) return -EINVAL;
  int result = grow(&muxer->picture, &muxer->picture_capacity, (size_t)count + AV_INPUT_BUFFER_PADDING_SIZE);
  if (result < 0) return mpifs_media_fail(result, "write", message, size);
  memcpy(muxer->picture, bytes, (size_t)count);
  memset(muxer->picture + count, 0, AV_INPUT_BUFFER_PADDING_SIZE);
  size_t from = muxer->count;
  AVRational base = muxer->format->streams[0]->time_base;
  AVPacket *packet = muxer->packet;
  packet->data = muxer->picture;
  packet->size = (int)count;
  packet->pts = packet->dts = ff.av_rescale_q(muxer->is_mp4 ? muxer->sum : time, ticks, base);
  packet->duration = ff.av_rescale_q(duration, ticks, base);
  packet->flags = is_key ? AV_PKT_FLAG_KEY : 0;
  packet->stream_index = 0;
  result = ff.av_write_frame(muxer->format, packet);
  ff.av_packet_unref(packet);
  // MP4: the picture is a fragment of its own, which goes out now.
  if (result >= 0 && muxer->is_mp4) result = ff.av_write_frame(muxer->format, NULL);
  ff.avio_flush(muxer->format->pb);
  if (result >= 0) result = muxer->format->pb->error;
  if (result >= 0 && muxer->is_mp4) result = set_fragment_time(muxer, from, ff.av_rescale_q(time, ticks, base));
  muxer->sum += duration;
  return result < 0 ? mpifs_media_fail(result, "write", message, size) : 1;
}

static int64_t muxer_take(mpifs_media_muxer *muxer, const uint8_t **bytes) {
  *bytes = muxer->bytes;
  int64_t count = (int64_t)muxer->count;
  muxer->count = 0;
  return count;
}

const mpifs_muxer_functions mpifs_muxer = {
    .open = muxer_open,
    .write = muxer_write,
    .take = muxer_take,
    .close = muxer_close,
};

#endif
