// The only door to openh264.
#pragma once
#include <wels/codec_api.h>
