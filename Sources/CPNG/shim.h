// The only door to libpng.
#pragma once
#include <png.h>
