// Compile and link flags for FFmpeg; the code that uses it is CMediaFile (trait FFmpeg).
#pragma once
