// SPDX-License-Identifier: Apache-2.0
// Reading PNG files from memory. libpng tells errors by jumping over its caller's frames, which only C survives.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { mpifs_png_message_size = 128 };

struct mpifs_png;

// Reads up to the pixels. `bytes` stay the caller's and are looked at until the file is closed.
// - Returns: NULL where it failed; `message` says why.
struct mpifs_png *mpifs_png_open(const void *bytes, size_t count, char message[mpifs_png_message_size]);

uint32_t mpifs_png_width(const struct mpifs_png *file);
uint32_t mpifs_png_height(const struct mpifs_png *file);

// Reads the pixels as B G R A of 8 bits, alpha not multiplied in, lines without gaps. Once.
// - Returns: 0 where it failed; `message` says why.
int mpifs_png_read(struct mpifs_png *file, uint8_t *pixels, char message[mpifs_png_message_size]);

void mpifs_png_close(struct mpifs_png *file);
