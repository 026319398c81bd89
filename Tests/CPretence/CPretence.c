// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPretence.h"

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <time.h>

static _Thread_local int64_t ahead;

void pretend_wall_clock_ahead(int64_t seconds) { ahead = seconds; }

// The program's own definition comes before the C library's.
int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*_Atomic real)(clockid_t, struct timespec *);
  int (*function)(clockid_t, struct timespec *) = real;
  if (!function) real = function = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = function(clock, time);
  if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += ahead;
  return result;
}

int pretend_one_processor(void) {
  cpu_set_t all, one;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return errno;
  int first = 0;
  while (!CPU_ISSET(first, &all)) first++;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  return sched_setaffinity(0, sizeof one, &one) == 0 ? 0 : errno;
}
