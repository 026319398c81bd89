// The only door to libyuv.
#pragma once
#include <libyuv.h>
