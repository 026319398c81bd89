// The only door to x264 (GPL; trait X264). The name of the open function carries the library's build number through
// a macro, which only C can follow.
#pragma once
#include <stdint.h>
#include <x264.h>

static inline x264_t *mpifs_x264_open(x264_param_t *parameters) { return x264_encoder_open(parameters); }
static inline int mpifs_x264_build(void) { return X264_BUILD; }
