// The only door to x264 (GPL; trait X264).
#pragma once
#include <stdint.h>
#include <x264.h>
