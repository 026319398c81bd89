// SPDX-License-Identifier: Apache-2.0
#include "CMediaFile.h"

#ifndef MPIFS_FFMPEG

#include <stdio.h>

const mpifs_media_functions *mpifs_media_library(char *message, size_t size) {
  if (size) snprintf(message, size, "this build has no FFmpeg");
  return NULL;
}

#else

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "FFmpegFunctions.h"

mpifs_ffmpeg mpifs_ff;

// Owns everything below; freed by close.
struct mpifs_media_file {
  char *url;
  int threads;
  AVFormatContext *format;
  AVCodecContext *decoder;
  AVPacket *packet;
  AVFrame *frame;
  // The picture converted to 4:2:0, for formats that are not.
  AVFrame *converted;
  mpifs_media_scaler scaler;
  int stream;
  // The decoder was told that no more packets come.
  int draining;
  // `frame` holds a picture that rewind has decoded ahead.
  int pending;
  int64_t first_pts, next_pts;
  int has_first;
  uint64_t refused;
  mpifs_media_patience patience;
};

// FFmpeg's last complaint on this thread: what makes "Invalid data" understandable.
static _Thread_local char complaint[160];

static void keep_complaint(void *context, int level, const char *text, va_list arguments) {
  (void)context;
  if (level > AV_LOG_ERROR) return;
  vsnprintf(complaint, sizeof complaint, text, arguments);
  size_t length = strlen(complaint);
  while (length && (complaint[length - 1] == '\n' || complaint[length - 1] == ' ')) complaint[--length] = 0;
}

void mpifs_media_begin(void) { complaint[0] = 0; }
int mpifs_media_has_complained(void) { return complaint[0] != 0; }

int32_t mpifs_media_fail(int error, const char *what, char *message, size_t size) {
  char text[AV_ERROR_MAX_STRING_SIZE] = "";
  ff.av_strerror(error, text, sizeof text);
  if (size) snprintf(message, size, "%s: %s%s%s", what, text, complaint[0] ? ": " : "", complaint);
  switch (error) {
    case AVERROR_INVALIDDATA:
    case AVERROR_STREAM_NOT_FOUND:
    case AVERROR_DEMUXER_NOT_FOUND: return -EINVAL;
    case AVERROR_DECODER_NOT_FOUND:
    case AVERROR_PROTOCOL_NOT_FOUND:
    case AVERROR_PATCHWELCOME: return -ENOTSUP;
    case AVERROR_EXIT: return -EINTR;
    case AVERROR_EOF: return -EINVAL;
  }
  // FFmpeg's other own codes are far below any errno.
  return error < 0 && error > -4096 ? error : -EIO;
}

// More than any coded picture has, and what lies between two.
static const int64_t most_bytes_of_picture = 16 << 20;
static const int64_t most_bytes_to_open = 32 << 20;
static const int64_t longest_opening = 10 * 1000 * 1000;

static int64_t monotonic_microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * (int64_t)1000000 + now.tv_nsec / 1000;
}

int mpifs_media_gives_up(void *opaque) {
  mpifs_media_patience *patience = opaque;
  if (mpifs_media_is_interrupted(patience)) return 1;
  AVIOContext *io = patience->format ? patience->format->pb : NULL;
  if ((io && io->bytes_read > patience->limit) ||
      (patience->deadline && monotonic_microseconds() > patience->deadline))
    patience->is_exhausted = 1;
  return patience->is_exhausted;
}

void mpifs_media_next_packet(mpifs_media_patience *patience, int stream) {
  AVFormatContext *format = patience->format;
  patience->deadline = 0;
  patience->is_exhausted = 0;
  // Raw pictures are as large as they are, and are read without looking for their end.
  int is_raw = !format || !format->pb || format->streams[stream]->codecpar->codec_id == AV_CODEC_ID_RAWVIDEO;
  patience->limit = is_raw ? INT64_MAX : format->pb->bytes_read + most_bytes_of_picture;
}

static void close_input(mpifs_media_file *file) {
  ff.avcodec_free_context(&file->decoder);
  file->patience.format = NULL;
  ff.avformat_close_input(&file->format);
  file->draining = 0;
  file->pending = 0;
}

static void media_close(mpifs_media_file *file) {
  if (!file) return;
  close_input(file);
  ff.av_packet_free(&file->packet);
  ff.av_frame_free(&file->frame);
  ff.av_frame_free(&file->converted);
  mpifs_media_end_scaler(&file->scaler);
  ff.av_free(file->url);
  ff.av_free(file);
}

// Whether a limit ended the opening; `message` says so then.
static int exhausted(mpifs_media_patience *patience, char *message, size_t size) {
  if (!patience->is_exhausted) return 0;
  if (size)
    snprintf(message, size, "not a media file: no picture in the first %d MiB or %d s", (int)(most_bytes_to_open >> 20),
             (int)(longest_opening / 1000000));
  return 1;
}

// Pictures of letters on a terminal: FFmpeg takes any text for them, and what is given instead of a video by mistake is a text
// more often than not. The demuxers are tty, bin, xbin, adf and idf.
static int is_text(enum AVCodecID codec) {
  return codec == AV_CODEC_ID_ANSI || codec == AV_CODEC_ID_BINTEXT || codec == AV_CODEC_ID_XBIN ||
         codec == AV_CODEC_ID_IDF;
}

int32_t mpifs_media_open_format(AVFormatContext **format, const char *url, mpifs_media_patience *patience, int *stream,
                                const AVCodec **decoder, char *message, size_t size) {
  mpifs_media_begin();
  *format = ff.avformat_alloc_context();
  if (!*format) return mpifs_media_fail(AVERROR(ENOMEM), "open", message, size);
  (*format)->interrupt_callback.callback = mpifs_media_gives_up;
  (*format)->interrupt_callback.opaque = patience;
  patience->format = *format;
  patience->limit = most_bytes_to_open;
  patience->deadline = monotonic_microseconds() + longest_opening;
  patience->is_exhausted = 0;
  // A list of other files inside the file must not reach out to the network.
  AVDictionary *options = NULL;
  ff.av_dict_set(&options, "protocol_whitelist", "file", 0);
  int result = ff.avformat_open_input(format, url, NULL, &options);
  ff.av_dict_free(&options);
  if (result < 0) {
    patience->format = NULL;
    return exhausted(patience, message, size) ? -EINVAL : mpifs_media_fail(result, "not a media file", message, size);
  }
  result = ff.avformat_find_stream_info(*format, NULL);
  // What was found before a limit was reached may be enough.
  if (patience->is_exhausted) result = 0;
  if (result < 0) return mpifs_media_fail(result, "no stream can be read", message, size);
  *stream = ff.av_find_best_stream(*format, AVMEDIA_TYPE_VIDEO, -1, -1, decoder, 0);
  if (*stream == AVERROR_DECODER_NOT_FOUND)
    return mpifs_media_fail(*stream, "no decoder for the video stream", message, size);
  if (*stream < 0)
    return exhausted(patience, message, size) ? -EINVAL : mpifs_media_fail(*stream, "no video stream", message, size);
  if (patience->is_exhausted && (*format)->streams[*stream]->codecpar->width <= 0) {
    exhausted(patience, message, size);
    return -EINVAL;
  }
  if (is_text((*format)->streams[*stream]->codecpar->codec_id)) {
    if (size)
      snprintf(message, size, "not a media file: a text, which FFmpeg would show as letters (%s)",
               (*format)->iformat->name);
    return -EINVAL;
  }
  if ((*format)->streams[*stream]->disposition & AV_DISPOSITION_ATTACHED_PIC)
    return mpifs_media_fail(AVERROR_STREAM_NOT_FOUND, "no video stream, only a cover picture", message, size);
  for (unsigned index = 0; index < (*format)->nb_streams; index++) {
    if ((int)index != *stream) (*format)->streams[index]->discard = AVDISCARD_ALL;
  }
  return 1;
}

static int32_t open_input(mpifs_media_file *file, char *message, size_t size) {
  const AVCodec *codec = NULL;
  int result =
      mpifs_media_open_format(&file->format, file->url, &file->patience, &file->stream, &codec, message, size);
  if (result < 0) return result;
  AVStream *stream = file->format->streams[file->stream];
  file->decoder = ff.avcodec_alloc_context3(codec);
  if (!file->decoder) return mpifs_media_fail(AVERROR(ENOMEM), "open decoder", message, size);
  result = ff.avcodec_parameters_to_context(file->decoder, stream->codecpar);
  if (result < 0) return mpifs_media_fail(result, "stream parameters", message, size);
  // Threads cost memory and delay; small pictures do not need them.
  int is_large = (int64_t)stream->codecpar->width * stream->codecpar->height > 1280 * 720;
  file->decoder->thread_count = is_large ? file->threads : 1;
  file->decoder->pkt_timebase = stream->time_base;
  file->decoder->flags |= AV_CODEC_FLAG_UNALIGNED;
  result = ff.avcodec_open2(file->decoder, codec, NULL);
  if (result < 0) return mpifs_media_fail(result, "open decoder", message, size);
  return 1;
}

// Frames a second of a stream; 0/1 when the file does not say.
static AVRational rate_of(AVFormatContext *format, AVStream *stream) {
  AVRational rate = ff.av_guess_frame_rate(format, stream, NULL);
  // Some containers state their clock as the rate.
  int is_plausible = rate.num > 0 && rate.den > 0 && av_q2d(rate) <= 240 && av_q2d(rate) >= 0.1;
  return is_plausible ? rate : (AVRational){0, 1};
}

// Degrees clockwise by which a player turns the pictures, whole quarters: the first two rows of the matrix are where the axes go.
static int32_t rotation_of(const AVStream *stream) {
  const int32_t *matrix = NULL;
#if LIBAVFORMAT_VERSION_MAJOR < 61
  const AVPacketSideData *all = stream->side_data;
  int count = stream->nb_side_data;
#else
  const AVPacketSideData *all = stream->codecpar->coded_side_data;
  int count = stream->codecpar->nb_coded_side_data;
#endif
  for (int index = 0; index < count; index++)
    if (all[index].type == AV_PKT_DATA_DISPLAYMATRIX && all[index].size >= 9 * sizeof *matrix)
      matrix = (const int32_t *)all[index].data;
  if (!matrix) return 0;
  int64_t across = matrix[0], down = matrix[1];
  if ((across < 0 ? -across : across) >= (down < 0 ? -down : down)) return across < 0 ? 180 : 0;
  return down > 0 ? 90 : 270;
}

void mpifs_media_describe(AVFormatContext *format, AVStream *stream, mpifs_media_info *info) {
  memset(info, 0, sizeof *info);
  info->width = stream->codecpar->width;
  info->height = stream->codecpar->height;
  AVRational rate = rate_of(format, stream);
  info->rate_num = rate.num;
  info->rate_den = rate.den;
  info->color = mpifs_media_color_told(stream->codecpar, ff.av_guess_sample_aspect_ratio(format, stream, NULL));
  info->rotation = rotation_of(stream);
  snprintf(info->codec, sizeof info->codec, "%s", ff.avcodec_get_name(stream->codecpar->codec_id));
  // "mov,mp4,m4a,3gp,3g2,mj2" and the like: the first name will do.
  snprintf(info->container, sizeof info->container, "%.*s", (int)strcspn(format->iformat->name, ","),
           format->iformat->name);
}

static int32_t media_open(const char *path, int32_t threads, mpifs_media_file **out, mpifs_media_info *info,
                          char *message, size_t size) {
  *out = NULL;
  int32_t checked = mpifs_media_check(path, message, size);
  if (checked < 0) return checked;

  mpifs_media_file *file = ff.av_mallocz(sizeof *file);
  if (!file) return mpifs_media_fail(AVERROR(ENOMEM), "open", message, size);
  file->threads = threads;
  // With the protocol's name in front no path can be taken for another protocol.
  file->url = ff.av_asprintf("file:%s", path);
  file->packet = ff.av_packet_alloc();
  file->frame = ff.av_frame_alloc();
  file->converted = ff.av_frame_alloc();
  int32_t result = file->url && file->packet && file->frame && file->converted
                       ? open_input(file, message, size)
                       : mpifs_media_fail(AVERROR(ENOMEM), "open", message, size);
  if (result < 0) {
    media_close(file);
    return result;
  }
  AVStream *stream = file->format->streams[file->stream];
  mpifs_media_describe(file->format, stream, info);
  const char *pixels = ff.av_get_pix_fmt_name(stream->codecpar->format);
  snprintf(info->pixels, sizeof info->pixels, "%s", pixels ? pixels : "unknown");
  *out = file;
  return 1;
}

// Decodes one picture into file->frame.
static int32_t decode(mpifs_media_file *file, char *message, size_t size) {
  int errors = 0;
  for (;;) {
    if (mpifs_media_is_interrupted(&file->patience)) return mpifs_media_fail(AVERROR_EXIT, "read", message, size);
    int result = ff.avcodec_receive_frame(file->decoder, file->frame);
    if (result >= 0) return 1;
    if (result == AVERROR_EOF) return 0;
    if (result != AVERROR(EAGAIN)) {
      // The decoder gives up on a picture, not on the file; but no decoder may hold us here for ever.
      file->refused++;
      if (++errors > 1000) return mpifs_media_fail(result, "decode", message, size);
      continue;
    }
    if (file->draining) return 0;
    mpifs_media_next_packet(&file->patience, file->stream);
    result = ff.av_read_frame(file->format, file->packet);
    // Where so much is read and no picture found, there is none any more.
    if (result == AVERROR_EOF || (result < 0 && file->patience.is_exhausted) || (result < 0 && file->format->pb && file->format->pb->eof_reached)) {
      file->draining = 1;
      ff.avcodec_send_packet(file->decoder, NULL);
      continue;
    }
    if (result == AVERROR(EAGAIN)) continue;
    if (result < 0) return mpifs_media_fail(result, "read", message, size);
    if (file->packet->stream_index == file->stream) {
      // The decoder has just asked for more, so it cannot be full: any refusal is about the packet.
      if (ff.avcodec_send_packet(file->decoder, file->packet) < 0) file->refused++;
    }
    ff.av_packet_unref(file->packet);
  }
}

static int64_t microseconds(mpifs_media_file *file, int64_t ticks) {
  return ff.av_rescale_q(ticks, file->format->streams[file->stream]->time_base, AV_TIME_BASE_Q);
}

// Makes an 8-bit 4:2:0 picture of whatever was decoded.
static int32_t convert(mpifs_media_file *file, char *message, size_t size) {
  AVFrame *from = file->frame, *to = file->converted;
  if (to->width != from->width || to->height != from->height) {
    ff.av_frame_unref(to);
    to->format = AV_PIX_FMT_YUV420P;
    to->width = from->width;
    to->height = from->height;
    int result = ff.av_frame_get_buffer(to, 0);
    if (result < 0) return mpifs_media_fail(result, "memory for a picture", message, size);
  }
  return mpifs_media_convert(&file->scaler, from, to->data, to->linesize, message, size);
}

static int32_t reopen(mpifs_media_file *file, char *message, size_t size) {
  close_input(file);
  int32_t checked = mpifs_media_check(file->url + strlen("file:"), message, size);
  return checked < 0 ? checked : open_input(file, message, size);
}

static int32_t media_next(mpifs_media_file *file, mpifs_media_picture *picture, char *message, size_t size) {
  mpifs_media_begin();
  int32_t result = 1;
  if (file->pending) {
    file->pending = 0;
  } else {
    // It could not be opened for this pass: it may be back, or be away for another reason.
    if (!file->decoder) result = reopen(file, message, size);
    if (result > 0) result = decode(file, message, size);
  }
  if (result <= 0) return result;
  AVFrame *frame = file->frame;
  const AVFrame *shown = frame;
  picture->format = MPIFS_MEDIA_I420;
  if (frame->format == AV_PIX_FMT_NV12) {
    picture->format = MPIFS_MEDIA_NV12;
  } else if (!mpifs_media_is_i420(frame->format)) {
    result = convert(file, message, size);
    if (result < 0) return result;
    shown = file->converted;
  }
  for (int plane = 0; plane < 3; plane++) {
    picture->plane[plane] = shown->data[plane];
    picture->stride[plane] = shown->linesize[plane];
  }
  picture->width = shown->width;
  picture->height = shown->height;
  picture->color = mpifs_media_color_of(frame);
  // The container's word, where it has one, as players take it.
  AVRational aspect = ff.av_guess_sample_aspect_ratio(file->format, file->format->streams[file->stream], frame);
  picture->color.aspect_num = aspect.num;
  picture->color.aspect_den = aspect.den;
  picture->damaged = frame->decode_error_flags != 0 || frame->flags & AV_FRAME_FLAG_CORRUPT;
#if LIBAVUTIL_VERSION_MAJOR >= 58
  int64_t duration = frame->duration;
#else
  int64_t duration = frame->pkt_duration;
#endif
  picture->duration = duration > 0 ? microseconds(file, duration) : 0;
  int64_t pts = frame->best_effort_timestamp;
  if (!file->has_first) {
    file->has_first = 1;
    file->first_pts = pts == AV_NOPTS_VALUE ? 0 : pts;
    if (pts == AV_NOPTS_VALUE) pts = 0;
  }
  // A picture without a time follows the one before it.
  if (pts == AV_NOPTS_VALUE) pts = file->next_pts;
  file->next_pts = mpifs_media_sum(pts, duration > 0 ? duration : 1);
  picture->pts = microseconds(file, mpifs_media_distance(pts, file->first_pts));
  return 1;
}

static int32_t media_rewind(mpifs_media_file *file, char *message, size_t size) {
  // What was opened is still there for whoever has it open, but not for whoever opens it next.
  int32_t checked = mpifs_media_check(file->url + strlen("file:"), message, size);
  if (checked < 0) {
    close_input(file);
    return checked;
  }
  file->pending = 0;
  file->next_pts = file->first_pts;
  if (file->format && file->decoder && file->has_first) {
    int result = ff.av_seek_frame(file->format, file->stream, file->first_pts, AVSEEK_FLAG_BACKWARD);
    if (result >= 0) {
      ff.avcodec_flush_buffers(file->decoder);
      file->draining = 0;
      // Not every container finds its way back exactly; only what really is the first picture counts.
      result = decode(file, message, size);
      if (result == -EINTR) return result;
      if (result == 1 && file->frame->best_effort_timestamp <= file->first_pts &&
          file->frame->best_effort_timestamp != AV_NOPTS_VALUE) {
        file->pending = 1;
        return 1;
      }
    }
  }
  return reopen(file, message, size);
}

static uint64_t media_refused(const mpifs_media_file *file) { return file->refused; }

static void media_interrupt(mpifs_media_file *file) {
  atomic_store_explicit(&file->patience.interrupted, 1, memory_order_release);
}

const mpifs_media_functions *mpifs_media_library(char *message, size_t size) {
  static const mpifs_media_functions functions = {
      .open = media_open,
      .next = media_next,
      .rewind = media_rewind,
      .refused = media_refused,
      .interrupt = media_interrupt,
      .close = media_close,
      .decoder = &mpifs_decoder,
      .packets = &mpifs_packets,
      .muxer = &mpifs_muxer,
      .version = "FFmpeg " AV_STRINGIFY(LIBAVFORMAT_VERSION),
  };
  static int is_loaded;
  if (!is_loaded) {
    if (!mpifs_ffmpeg_load(&ff, message, size)) return NULL;
    ff.av_log_set_callback(keep_complaint);
    is_loaded = 1;
  }
  return &functions;
}

#endif
