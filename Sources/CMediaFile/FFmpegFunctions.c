// SPDX-License-Identifier: Apache-2.0
#ifdef MPIFS_FFMPEG

#include "FFmpegFunctions.h"

#include <dlfcn.h>
#include <stdio.h>

// The major version is the library's promise of the struct layouts these headers have.
#define FILE_OF(library, major) "lib" #library ".so." AV_STRINGIFY(major)

static void *open_library(const char *file, char *message, size_t size) {
  void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!library && size) {
    const char *reason = dlerror();
    snprintf(message, size, "%s", reason ? reason : file);
  }
  return library;
}

// The libraries stay loaded for the life of the process, also after a failure: unloading FFmpeg is not safe.
int mpifs_ffmpeg_load(mpifs_ffmpeg *functions, char *message, size_t size) {
  void *avutil = open_library(FILE_OF(avutil, LIBAVUTIL_VERSION_MAJOR), message, size);
  void *avcodec = avutil ? open_library(FILE_OF(avcodec, LIBAVCODEC_VERSION_MAJOR), message, size) : NULL;
  void *avformat = avcodec ? open_library(FILE_OF(avformat, LIBAVFORMAT_VERSION_MAJOR), message, size) : NULL;
  void *swscale = avformat ? open_library(FILE_OF(swscale, LIBSWSCALE_VERSION_MAJOR), message, size) : NULL;
  if (!swscale) return 0;
#define RESOLVE(library, name)                                               \
  *(void **)&functions->name = dlsym(library, #name);                        \
  if (!functions->name) {                                                    \
    if (size) snprintf(message, size, "lib" #library " has no " #name);      \
    return 0;                                                                \
  }
  MPIFS_FFMPEG_FUNCTIONS(RESOLVE)
  return 1;
}

#endif
