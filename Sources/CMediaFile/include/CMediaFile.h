// SPDX-License-Identifier: Apache-2.0
// Reads any media file FFmpeg knows. A C library of its own, `mpifs-ffmpeg`: it is loaded on first use (trait FFmpeg).
#pragma once
#include "../../CMediaFileABI/MediaFileABI.h"

const mpifs_media_functions *mpifs_media_library(int32_t abi);
