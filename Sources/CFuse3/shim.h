// The only door to libfuse3. Fixes the API level; Swift needs FUSE_USE_VERSION before the include.
#pragma once
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
