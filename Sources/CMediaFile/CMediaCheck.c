// SPDX-License-Identifier: Apache-2.0
#ifdef MPIFS_FFMPEG

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "FFmpegFunctions.h"

int32_t mpifs_media_check(const char *path, char *message, size_t size) {
  mpifs_media_begin();
  struct stat status;
  // What the errno says by itself needs no message.
  if (size) *message = 0;
  if (stat(path, &status) != 0) return AVERROR(errno);
  if (S_ISDIR(status.st_mode)) return AVERROR(EISDIR);
  if (!S_ISREG(status.st_mode)) {
    if (size) snprintf(message, size, "not a regular file");
    return -EINVAL;
  }
  struct statfs system;
  if (statfs(path, &system) != 0) return mpifs_media_fail(AVERROR(errno), "statfs", message, size);
  switch ((uint32_t)system.f_type) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
      if (size) snprintf(message, size, "a file of the kernel's, not a media file");
      return -EINVAL;
  }
  if (access(path, R_OK) != 0) return AVERROR(errno);
  return 0;
}

#endif
