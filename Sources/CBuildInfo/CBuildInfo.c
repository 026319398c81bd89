// SPDX-License-Identifier: Apache-2.0
// A C target because its defines change with every commit: only this file is compiled again, no Swift module.
#include "CBuildInfo.h"

#include <stdio.h>
#include <string.h>

#ifndef MPIFS_COMMIT
#define MPIFS_COMMIT "unknown"
#endif

#ifdef MPIFS_TRAIT_FFMPEG
#define FFMPEG_NAME " FFmpeg"
#else
#define FFMPEG_NAME ""
#endif
#ifdef MPIFS_TRAIT_X264
#define X264_NAME " X264"
#else
#define X264_NAME ""
#endif
#ifdef MPIFS_TRAIT_X265
#define X265_NAME " X265"
#else
#define X265_NAME ""
#endif

const char *mpifs_build_commit(void) { return MPIFS_COMMIT; }

const char *mpifs_build_traits(void) {
  static const char names[] = FFMPEG_NAME X264_NAME X265_NAME;
  return sizeof names > 1 ? names + 1 : "none";
}

// x264 and x265 are GPL; so is Debian's build of FFmpeg's libraries (configured with --enable-gpl).
bool mpifs_build_links_gpl(void) { return strcmp(mpifs_build_traits(), "none") != 0; }

#ifdef MPIFS_BUILD_TIME
const char *mpifs_build_time(void) { return MPIFS_BUILD_TIME; }
#else
static char compiled_at[32];

// Before main, so that readers on any thread see the finished text.
__attribute__((constructor)) static void write_compiled_at(void) {
  // __DATE__ is "Mmm dd yyyy" with a blank for a leading zero.
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  static const char date[] = __DATE__;
  const char name[] = {date[0], date[1], date[2], 0};
  const int month = (int)((strstr(months, name) - months) / 3) + 1;
  const char tens = date[4] == ' ' ? '0' : date[4];
  snprintf(compiled_at, sizeof compiled_at, "%.4s-%02d-%c%c-%s", date + 7, month, tens, date[5], __TIME__);
}

const char *mpifs_build_time(void) { return compiled_at; }
#endif
