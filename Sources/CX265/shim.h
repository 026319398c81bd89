// The only door to x265 (GPL; trait X265). The name of the open function carries the library's build number through
// a macro, which only C can follow.
#pragma once
#include <stdint.h>
#include <x265.h>

static inline x265_encoder *mpifs_x265_open(x265_param *parameters) { return x265_encoder_open(parameters); }
static inline const char *mpifs_x265_version(void) { return x265_api_get(8)->version_str; }

// Threads beside the one that codes a picture; the library keeps a copy of the text.
static inline int mpifs_x265_set_pool(x265_param *parameters, int threads) {
  char text[16];
  int at = sizeof text - 1, left = threads;
  text[at] = 0;
  if (threads < 2) return x265_param_parse(parameters, "pools", "none");
  for (; left > 0 && at > 0; left /= 10) text[--at] = (char)('0' + left % 10);
  return x265_param_parse(parameters, "pools", text + at);
}
