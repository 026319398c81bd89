// The only door to libdrm.
#pragma once
#include <xf86drm.h>
#include <xf86drmMode.h>
