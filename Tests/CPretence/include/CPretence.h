// SPDX-License-Identifier: Apache-2.0
// What a test pretends of the machine it runs on, to the calling thread alone.
#pragma once
#include <stdint.h>

// CLOCK_REALTIME reads so many seconds ahead of the kernel's, as it does to a wait that has begun when the clock is set back.
void pretend_wall_clock_ahead(int64_t seconds);

// The calling thread may run on one processor only. 0, or an errno.
int pretend_one_processor(void);
