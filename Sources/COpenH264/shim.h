// The only door to openh264. Its C interface is a table of functions; these name the ones used.
#pragma once
#include <string.h>
#include <wels/codec_api.h>

// Where the library's last error text goes; at most `sizeof text - 1` bytes.
typedef struct {
  char text[200];
} mpifs_openh264_log;

static void mpifs_openh264_trace(void *context, int level, const char *text) {
  mpifs_openh264_log *log = (mpifs_openh264_log *)context;
  if (!log || !text || level > WELS_LOG_ERROR) return;
  strncpy(log->text, text, sizeof log->text - 1);
  log->text[sizeof log->text - 1] = 0;
}

// Sends error texts to `log` instead of the process's stderr. `log` must outlive the encoder.
static inline int mpifs_openh264_set_log(ISVCEncoder *encoder, mpifs_openh264_log *log) {
  WelsTraceCallback callback = mpifs_openh264_trace;
  int level = WELS_LOG_ERROR;
  void *context = log;
  int result = (*encoder)->SetOption(encoder, ENCODER_OPTION_TRACE_CALLBACK, (void *)&callback);
  if (!result) result = (*encoder)->SetOption(encoder, ENCODER_OPTION_TRACE_CALLBACK_CONTEXT, &context);
  if (!result) result = (*encoder)->SetOption(encoder, ENCODER_OPTION_TRACE_LEVEL, &level);
  return result;
}
static inline int mpifs_openh264_defaults(ISVCEncoder *encoder, SEncParamExt *parameters) {
  return (*encoder)->GetDefaultParams(encoder, parameters);
}
static inline int mpifs_openh264_initialize(ISVCEncoder *encoder, const SEncParamExt *parameters) {
  return (*encoder)->InitializeExt(encoder, parameters);
}
static inline int mpifs_openh264_encode(ISVCEncoder *encoder, const SSourcePicture *picture, SFrameBSInfo *info) {
  return (*encoder)->EncodeFrame(encoder, picture, info);
}
static inline int mpifs_openh264_force_idr(ISVCEncoder *encoder) {
  // The C++ method has a second parameter with a default; C callers must pass it too, whatever the C table says.
  int (*force)(ISVCEncoder *, bool, int) = (int (*)(ISVCEncoder *, bool, int))(*encoder)->ForceIntraFrame;
  return force(encoder, true, -1);
}
static inline int mpifs_openh264_set(ISVCEncoder *encoder, ENCODER_OPTION option, void *value) {
  return (*encoder)->SetOption(encoder, option, value);
}
static inline void mpifs_openh264_destroy(ISVCEncoder *encoder) {
  (*encoder)->Uninitialize(encoder);
  WelsDestroySVCEncoder(encoder);
}

// Prepares a decoder, or a used one for another stream. Damage is concealed and reported; error texts go to `log`,
// which must outlive the decoder.
static inline int mpifs_openh264_open_decoder(ISVCDecoder *decoder, mpifs_openh264_log *log) {
  (*decoder)->Uninitialize(decoder);
  WelsTraceCallback callback = mpifs_openh264_trace;
  int level = WELS_LOG_ERROR;
  void *context = log;
  (*decoder)->SetOption(decoder, DECODER_OPTION_TRACE_CALLBACK, (void *)&callback);
  (*decoder)->SetOption(decoder, DECODER_OPTION_TRACE_CALLBACK_CONTEXT, &context);
  (*decoder)->SetOption(decoder, DECODER_OPTION_TRACE_LEVEL, &level);
  SDecodingParam parameters;
  memset(&parameters, 0, sizeof parameters);
  parameters.uiTargetDqLayer = 255;
  parameters.eEcActiveIdc = ERROR_CON_SLICE_COPY;
  parameters.sVideoProperty.size = sizeof parameters.sVideoProperty;
  parameters.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC;
  return (int)(*decoder)->Initialize(decoder, &parameters);
}
// Takes the units of one picture; `bytes` NULL: that was all of it. Either may give a picture: the library's own call for both
// gives only the second.
static inline int mpifs_openh264_decode(
    ISVCDecoder *decoder, const unsigned char *bytes, int count, unsigned char **planes, SBufferInfo *info) {
  return (int)(*decoder)->DecodeFrame2(decoder, bytes, count, planes, info);
}
static inline int mpifs_openh264_flush(ISVCDecoder *decoder, unsigned char **planes, SBufferInfo *info) {
  return (int)(*decoder)->FlushFrame(decoder, planes, info);
}
static inline void mpifs_openh264_destroy_decoder(ISVCDecoder *decoder) {
  (*decoder)->Uninitialize(decoder);
  WelsDestroyDecoder(decoder);
}
