// The only door to libv4lconvert.
#pragma once
#include <libv4lconvert.h>
