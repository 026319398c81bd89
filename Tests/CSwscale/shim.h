// libswscale for measurements; the program loads it on first use instead.
#pragma once
#include <libavutil/pixfmt.h>
#include <libswscale/swscale.h>
