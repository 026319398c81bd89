// SPDX-License-Identifier: Apache-2.0
// Counts what a thread asks of the C library's heap, in any program this is linked into.
#pragma once
#include <stdint.h>

// Calls of malloc, calloc, realloc and the aligned kinds on the calling thread since it started.
uint64_t allocation_count(void);
