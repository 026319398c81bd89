// The only door to libturbojpeg.
#pragma once
#include <turbojpeg.h>

// The interface has no call that tells its version; the headers of libjpeg-turbo do, where they are installed.
#if __has_include(<jconfig.h>)
#include <jconfig.h>
#endif
#define MPIFS_TEXT_OF(x) #x
#define MPIFS_TEXT(x) MPIFS_TEXT_OF(x)
static inline const char *mpifs_turbojpeg_version(void) {
#ifdef LIBJPEG_TURBO_VERSION
  return MPIFS_TEXT(LIBJPEG_TURBO_VERSION);
#else
  return "";
#endif
}
