// Reads any media file FFmpeg knows. A C library of its own: it is loaded on first use (trait FFmpeg).
#pragma once
