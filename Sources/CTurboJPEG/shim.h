// The only door to libturbojpeg.
#pragma once
#include <turbojpeg.h>
