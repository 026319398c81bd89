// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CLinux.h"

#include <dirent.h>
#include <malloc.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

_Static_assert(F_SEAL_SHRINK == 2, "the seal Swift passes");

#define RESULT(call)                 \
  do {                               \
    int result = (call);             \
    return result < 0 ? -errno : result; \
  } while (0)
#define RESULT64(call)               \
  do {                               \
    int64_t result = (call);         \
    return result < 0 ? -errno : result; \
  } while (0)

int mpifs_open(const char *path, int flags) { RESULT(open(path, flags | O_CLOEXEC)); }
int mpifs_close(int fd) { RESULT(close(fd)); }
int mpifs_ioctl(int fd, unsigned long request, void *argument) { RESULT(ioctl(fd, request, argument)); }

int64_t mpifs_mmap(size_t length, int protection, int fd, int64_t offset) {
  void *address = mmap(NULL, length, protection, MAP_SHARED, fd, offset);
  return address == MAP_FAILED ? -errno : (int64_t)(intptr_t)address;
}

int mpifs_munmap(void *address, size_t length) { RESULT(munmap(address, length)); }
int mpifs_poll(void *fds, unsigned long count, int timeout_ms) { RESULT(poll(fds, count, timeout_ms)); }
int mpifs_memfd_create(const char *name, unsigned flags) { RESULT(memfd_create(name, flags)); }
int mpifs_ftruncate(int fd, int64_t length) { RESULT(ftruncate(fd, length)); }
int mpifs_add_seals(int fd, int seals) { RESULT(fcntl(fd, F_ADD_SEALS, seals)); }
int mpifs_duplicate(int fd) { RESULT(fcntl(fd, F_DUPFD_CLOEXEC, 3)); }
int mpifs_signalfd(const sigset_t *signals) { RESULT(signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK)); }
int mpifs_eventfd(void) { RESULT(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

int mpifs_uevents(void) {
  int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
  if (fd < 0) return -errno;
  // Group 1 is the kernel's own; group 2 is udev's.
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int64_t mpifs_seek_end(int fd) { RESULT64(lseek(fd, 0, SEEK_END)); }
int mpifs_fstat(int fd, void *out) { RESULT(fstat(fd, out)); }
int64_t mpifs_read(int fd, void *bytes, size_t count) { RESULT64(read(fd, bytes, count)); }
int64_t mpifs_write(int fd, const void *bytes, size_t count) { RESULT64(write(fd, bytes, count)); }

// Swift's own CommandLine reads /proc/self/cmdline, which early at boot and in a bare chroot is not there: it has no
// arguments then. glibc hands main's to the constructors, too.
static int argument_count;
static char **arguments;

__attribute__((constructor)) static void keep_arguments(int count, char **values) {
#ifdef __GLIBC__
  argument_count = count;
  arguments = values;
#else
  (void)count, (void)values;
#endif
}

char *const *mpifs_arguments(int *count) {
  *count = arguments ? argument_count : 0;
  return arguments;
}

int mpifs_usable_processors(void) {
  // EINVAL says that the kernel has more processors than there is room for.
  for (int room = CPU_SETSIZE; room <= 1 << 20; room *= 2) {
    cpu_set_t *set = CPU_ALLOC(room);
    if (!set) return -ENOMEM;
    size_t size = CPU_ALLOC_SIZE(room);
    int result = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : -errno;
    CPU_FREE(set);
    if (result != -EINVAL) return result;
  }
  return -EINVAL;
}

int mpifs_limit_heap(int mapped_from, int arenas) {
#ifdef __GLIBC__
  return mallopt(M_MMAP_THRESHOLD, mapped_from) && mallopt(M_TRIM_THRESHOLD, 2 * mapped_from) && mallopt(M_ARENA_MAX, arenas) ? 0 : -1;
#else
  (void)mapped_from, (void)arenas;
  return -1;
#endif
}

int mpifs_trim_heap(void) {
#ifdef __GLIBC__
  return malloc_trim(0);
#else
  return 0;
#endif
}

int mpifs_heap_bytes(uint64_t *used) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
  struct mallinfo2 all = mallinfo2();
  *used = all.uordblks + all.hblkhd;
  return 0;
#else
  (void)used;
  return -1;
#endif
}

void mpifs_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
void mpifs_thread_name(char *name) { prctl(PR_GET_NAME, name, 0, 0, 0); }

int mpifs_threads_named(const char *name, pid_t *ids, int most) {
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) return 0;
  int found = 0;
  size_t length = strlen(name);
  for (struct dirent *entry; found < most && (entry = readdir(tasks));) {
    char path[64], text[17];
    long id = strtol(entry->d_name, NULL, 10);
    if (id <= 0) continue;
    snprintf(path, sizeof path, "/proc/self/task/%ld/comm", id);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    ssize_t count = read(fd, text, sizeof text);
    close(fd);
    // A newline stands behind the name.
    if (count == (ssize_t)length + 1 && memcmp(text, name, length) == 0) ids[found++] = (pid_t)id;
  }
  closedir(tasks);
  return found;
}

int mpifs_is_multiplanar(uint32_t type) {
  return type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE || type == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
}

void mpifs_format_to_kernel(const struct mpifs_format *from, struct v4l2_format *to) {
  memset(to, 0, sizeof *to);
  to->type = from->type;
  if (mpifs_is_multiplanar(from->type)) {
    struct v4l2_pix_format_mplane *pix = &to->fmt.pix_mp;
    pix->width = from->width;
    pix->height = from->height;
    pix->pixelformat = from->pixelformat;
    pix->field = from->field;
    pix->colorspace = from->colorspace;
    pix->ycbcr_enc = from->ycbcr_enc;
    pix->quantization = from->quantization;
    pix->xfer_func = from->xfer_func;
    pix->num_planes = from->num_planes;
    for (uint32_t i = 0; i < from->num_planes && i < MPIFS_MAX_PLANES; i++) {
      pix->plane_fmt[i].bytesperline = from->planes[i].bytesperline;
      pix->plane_fmt[i].sizeimage = from->planes[i].sizeimage;
    }
  } else {
    struct v4l2_pix_format *pix = &to->fmt.pix;
    pix->width = from->width;
    pix->height = from->height;
    pix->pixelformat = from->pixelformat;
    pix->field = from->field;
    pix->colorspace = from->colorspace;
    // Without the magic number the kernel clears the fields that were added later.
    pix->priv = V4L2_PIX_FMT_PRIV_MAGIC;
    pix->ycbcr_enc = from->ycbcr_enc;
    pix->quantization = from->quantization;
    pix->xfer_func = from->xfer_func;
    pix->bytesperline = from->planes[0].bytesperline;
    pix->sizeimage = from->planes[0].sizeimage;
  }
}

void mpifs_format_from_kernel(const struct v4l2_format *from, struct mpifs_format *to) {
  memset(to, 0, sizeof *to);
  to->type = from->type;
  if (mpifs_is_multiplanar(from->type)) {
    const struct v4l2_pix_format_mplane *pix = &from->fmt.pix_mp;
    to->width = pix->width;
    to->height = pix->height;
    to->pixelformat = pix->pixelformat;
    to->field = pix->field;
    to->colorspace = pix->colorspace;
    to->ycbcr_enc = pix->ycbcr_enc;
    to->quantization = pix->quantization;
    to->xfer_func = pix->xfer_func;
    to->num_planes = pix->num_planes < MPIFS_MAX_PLANES ? pix->num_planes : MPIFS_MAX_PLANES;
    for (uint32_t i = 0; i < to->num_planes; i++) {
      to->planes[i].bytesperline = pix->plane_fmt[i].bytesperline;
      to->planes[i].sizeimage = pix->plane_fmt[i].sizeimage;
    }
  } else {
    const struct v4l2_pix_format *pix = &from->fmt.pix;
    to->width = pix->width;
    to->height = pix->height;
    to->pixelformat = pix->pixelformat;
    to->field = pix->field;
    to->colorspace = pix->colorspace;
    if (pix->priv == V4L2_PIX_FMT_PRIV_MAGIC) {
      to->ycbcr_enc = pix->ycbcr_enc;
      to->quantization = pix->quantization;
      to->xfer_func = pix->xfer_func;
    }
    to->num_planes = 1;
    to->planes[0].bytesperline = pix->bytesperline;
    to->planes[0].sizeimage = pix->sizeimage;
  }
}

void mpifs_buffer_to_kernel(const struct mpifs_buffer *from, struct v4l2_buffer *to, struct v4l2_plane *planes) {
  memset(to, 0, sizeof *to);
  to->index = from->index;
  to->type = from->type;
  to->memory = from->memory;
  to->flags = from->flags;
  to->field = from->field;
  to->sequence = from->sequence;
  to->timestamp.tv_sec = from->tv_sec;
  to->timestamp.tv_usec = from->tv_usec;
  if (mpifs_is_multiplanar(from->type)) {
    memset(planes, 0, MPIFS_MAX_PLANES * sizeof *planes);
    to->length = from->num_planes < MPIFS_MAX_PLANES ? from->num_planes : MPIFS_MAX_PLANES;
    to->m.planes = planes;
    for (uint32_t i = 0; i < to->length; i++) {
      planes[i].bytesused = from->planes[i].bytesused;
      planes[i].length = from->planes[i].length;
      planes[i].data_offset = from->planes[i].data_offset;
      if (from->memory == V4L2_MEMORY_DMABUF)
        planes[i].m.fd = from->planes[i].fd;
      else
        planes[i].m.mem_offset = from->planes[i].mem_offset;
    }
  } else {
    to->bytesused = from->planes[0].bytesused;
    to->length = from->planes[0].length;
    if (from->memory == V4L2_MEMORY_DMABUF)
      to->m.fd = from->planes[0].fd;
    else
      to->m.offset = from->planes[0].mem_offset;
  }
}

void mpifs_buffer_from_kernel(const struct v4l2_buffer *from, struct mpifs_buffer *to) {
  to->index = from->index;
  to->type = from->type;
  to->memory = from->memory;
  to->flags = from->flags;
  to->field = from->field;
  to->sequence = from->sequence;
  to->tv_sec = from->timestamp.tv_sec;
  to->tv_usec = from->timestamp.tv_usec;
  if (mpifs_is_multiplanar(from->type)) {
    to->num_planes = from->length < MPIFS_MAX_PLANES ? from->length : MPIFS_MAX_PLANES;
    for (uint32_t i = 0; i < to->num_planes; i++) {
      const struct v4l2_plane *plane = &from->m.planes[i];
      to->planes[i].bytesused = plane->bytesused;
      to->planes[i].length = plane->length;
      to->planes[i].data_offset = plane->data_offset;
      to->planes[i].fd = from->memory == V4L2_MEMORY_DMABUF ? plane->m.fd : -1;
      to->planes[i].mem_offset = from->memory == V4L2_MEMORY_DMABUF ? 0 : plane->m.mem_offset;
    }
  } else {
    to->num_planes = 1;
    to->planes[0].bytesused = from->bytesused;
    to->planes[0].length = from->length;
    to->planes[0].data_offset = 0;
    to->planes[0].fd = from->memory == V4L2_MEMORY_DMABUF ? from->m.fd : -1;
    to->planes[0].mem_offset = from->memory == V4L2_MEMORY_DMABUF ? 0 : from->m.offset;
  }
}

static int is_output(uint32_t type) {
  return type == V4L2_BUF_TYPE_VIDEO_OUTPUT || type == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
}

void mpifs_interval_to_kernel(uint32_t type, struct mpifs_interval from, struct v4l2_streamparm *to) {
  memset(to, 0, sizeof *to);
  to->type = type;
  struct v4l2_fract interval = {.numerator = from.numerator, .denominator = from.denominator};
  if (is_output(type))
    to->parm.output.timeperframe = interval;
  else
    to->parm.capture.timeperframe = interval;
}

struct mpifs_interval mpifs_interval_from_kernel(const struct v4l2_streamparm *from) {
  struct mpifs_interval to = {0};
  if (is_output(from->type)) {
    to.capability = from->parm.output.capability;
    to.numerator = from->parm.output.timeperframe.numerator;
    to.denominator = from->parm.output.timeperframe.denominator;
  } else {
    to.capability = from->parm.capture.capability;
    to.numerator = from->parm.capture.timeperframe.numerator;
    to.denominator = from->parm.capture.timeperframe.denominator;
  }
  return to;
}

struct mpifs_size_range mpifs_size_from_kernel(const struct v4l2_frmsizeenum *from) {
  struct mpifs_size_range to = {.kind = from->type, .step_width = 1, .step_height = 1};
  if (from->type == V4L2_FRMSIZE_TYPE_DISCRETE) {
    to.min_width = to.max_width = from->discrete.width;
    to.min_height = to.max_height = from->discrete.height;
  } else {
    to.min_width = from->stepwise.min_width;
    to.max_width = from->stepwise.max_width;
    to.step_width = from->stepwise.step_width;
    to.min_height = from->stepwise.min_height;
    to.max_height = from->stepwise.max_height;
    to.step_height = from->stepwise.step_height;
  }
  return to;
}

struct mpifs_interval_range mpifs_intervals_from_kernel(const struct v4l2_frmivalenum *from) {
  struct mpifs_interval_range to = {.kind = from->type};
  if (from->type == V4L2_FRMIVAL_TYPE_DISCRETE) {
    to.min = to.max = from->discrete;
  } else {
    to.min = from->stepwise.min;
    to.max = from->stepwise.max;
    to.step = from->stepwise.step;
  }
  return to;
}

struct mpifs_event mpifs_event_from_kernel(const struct v4l2_event *from) {
  struct mpifs_event to = {.type = from->type, .id = from->id, .pending = from->pending, .sequence = from->sequence};
  if (from->type == V4L2_EVENT_SOURCE_CHANGE) {
    to.changes = from->u.src_change.changes;
  } else if (from->type == V4L2_EVENT_CTRL) {
    to.changes = from->u.ctrl.changes;
    to.value = from->u.ctrl.type == V4L2_CTRL_TYPE_INTEGER64 ? from->u.ctrl.value64 : from->u.ctrl.value;
    to.control_type = from->u.ctrl.type;
    to.flags = from->u.ctrl.flags;
    to.minimum = from->u.ctrl.minimum;
    to.maximum = from->u.ctrl.maximum;
    to.step = from->u.ctrl.step;
    to.default_value = from->u.ctrl.default_value;
  }
  return to;
}

void mpifs_control_from_kernel(const struct v4l2_query_ext_ctrl *from, struct mpifs_control_description *to) {
  memset(to, 0, sizeof *to);
  to->id = from->id;
  to->type = from->type;
  to->flags = from->flags;
  to->element_size = from->elem_size;
  to->elements = from->elems;
  to->minimum = from->minimum;
  to->maximum = from->maximum;
  to->step = from->step;
  to->default_value = from->default_value;
  memcpy(to->name, from->name, sizeof from->name);
}

void mpifs_control_to_kernel(uint32_t id, int64_t value, int is64, struct v4l2_ext_controls *list,
                             struct v4l2_ext_control *control) {
  memset(list, 0, sizeof *list);
  memset(control, 0, sizeof *control);
  control->id = id;
  if (is64)
    control->value64 = value;
  else
    control->value = (int32_t)value;
  list->which = V4L2_CTRL_WHICH_CUR_VAL;
  list->count = 1;
  list->controls = control;
}

void mpifs_control_text_to_kernel(uint32_t id, char *text, uint32_t bytes, struct v4l2_ext_controls *list,
                                  struct v4l2_ext_control *control) {
  mpifs_control_to_kernel(id, 0, 0, list, control);
  control->size = bytes;
  control->string = text;
}

int64_t mpifs_control_value(const struct v4l2_ext_control *control, int is64) {
  return is64 ? control->value64 : control->value;
}

void mpifs_menu_name(const struct v4l2_querymenu *from, char *to) {
  memcpy(to, from->name, sizeof from->name);
  to[sizeof from->name] = 0;
}

int64_t mpifs_menu_value(const struct v4l2_querymenu *from) { return from->value; }

struct mpifs_timings mpifs_timings_from_kernel(const struct v4l2_dv_timings *from) {
  struct mpifs_timings to = {0};
  if (from->type != V4L2_DV_BT_656_1120) return to;
  const struct v4l2_bt_timings *bt = &from->bt;
  to.width = bt->width;
  to.height = bt->height;
  to.interlaced = bt->interlaced;
  to.pixel_clock = bt->pixelclock;
  to.pixels_per_frame = (uint64_t)V4L2_DV_BT_FRAME_WIDTH(bt) * V4L2_DV_BT_FRAME_HEIGHT(bt);
  return to;
}

int64_t mpifs_directory_entries(int fd, void *bytes, size_t room) { RESULT64(syscall(SYS_getdents64, fd, bytes, room)); }

int mpifs_share_descriptors(pid_t one, pid_t other) {
  long result = syscall(SYS_kcmp, one, other, KCMP_FILES, 0, 0);
  return result < 0 ? -1 : result == 0;
}

const void *mpifs_find(const void *bytes, size_t count, const void *text, size_t length) {
  return memmem(bytes, count, text, length);
}
