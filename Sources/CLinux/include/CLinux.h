// SPDX-License-Identifier: Apache-2.0
// Constants and calls of the Linux uAPI that Swift cannot import: ioctl numbers (sizeof in a macro), fourccs, calls
// with variable arguments, and structures whose unions or packing Swift does not see well.
#pragma once
#include <errno.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/memfd.h>
#include <linux/udmabuf.h>
#include <linux/videodev2.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

// MARK: calls. All follow the kernel's own convention: a negative errno is a failure. None of them retries.

int mpifs_open(const char *path, int flags);
int mpifs_close(int fd);
int mpifs_ioctl(int fd, unsigned long request, void *argument);
int64_t mpifs_mmap(size_t length, int protection, int fd, int64_t offset);
int mpifs_munmap(void *address, size_t length);
// A struct pollfd and a struct stat are `void` here: declared in two modules, they would belong to whichever the compiler
// happens to read first, and the public API must name Glibc's.
int mpifs_poll(void *fds, unsigned long count, int timeout_ms);
int mpifs_memfd_create(const char *name, unsigned flags);
int mpifs_ftruncate(int fd, int64_t length);
int mpifs_add_seals(int fd, int seals);
int mpifs_duplicate(int fd);
// Readable while one of these is pending; nothing need be read from it.
int mpifs_signalfd(const sigset_t *signals);
int mpifs_eventfd(void);
// A netlink socket that receives the kernel's announcements of devices.
int mpifs_uevents(void);
int64_t mpifs_seek_end(int fd);
int mpifs_fstat(int fd, void *out);
int64_t mpifs_read(int fd, void *bytes, size_t count);
int64_t mpifs_write(int fd, const void *bytes, size_t count);
// The program's arguments as the kernel gave them, NULL at the end; the count is 0 where the C library told none.
char *const *mpifs_arguments(int *count);
// How many processors the calling thread may run on.
int mpifs_usable_processors(void);
// The C library's heap: blocks above so many bytes lie in mappings of their own, and at most so many arenas are made.
// Returns 0, or -1 where the C library has no such settings.
int mpifs_limit_heap(int mapped_from, int arenas);
// Gives unused pages of the heap back to the kernel. Returns 1 when there were some.
int mpifs_trim_heap(void);
// Bytes of the C library's heap in use. Returns -1 where it does not tell.
int mpifs_heap_bytes(uint64_t *used);
// Names the calling thread, for `top -H` and debuggers; the kernel keeps 15 bytes.
void mpifs_name_thread(const char *name);
// The calling thread's name, 16 bytes with the zero.
void mpifs_thread_name(char *name);
// The numbers of this process's threads of that name, at most so many. Returns how many were found.
int mpifs_threads_named(const char *name, pid_t *ids, int most);
// Where a text first stands in others; NULL: nowhere.
const void *mpifs_find(const void *bytes, size_t count, const void *text, size_t length);
// The next entries of a directory as the kernel writes them (getdents64(2)), no more bytes than there is room; 0 at the end.
int64_t mpifs_directory_entries(int fd, void *bytes, size_t room);
// Whether two threads or processes have one table of descriptors: 1, or 0; -1 where the kernel does not say.
int mpifs_share_descriptors(pid_t one, pid_t other);

// MARK: ioctl numbers

#define MPIFS_IOCTL(name) static const unsigned long mpifs_##name = name;
MPIFS_IOCTL(DMA_BUF_IOCTL_SYNC)
MPIFS_IOCTL(DMA_BUF_SET_NAME_B)
MPIFS_IOCTL(DMA_HEAP_IOCTL_ALLOC)
MPIFS_IOCTL(UDMABUF_CREATE)
MPIFS_IOCTL(VIDIOC_QUERYCAP)
MPIFS_IOCTL(VIDIOC_ENUM_FMT)
MPIFS_IOCTL(VIDIOC_ENUM_FRAMESIZES)
MPIFS_IOCTL(VIDIOC_ENUM_FRAMEINTERVALS)
MPIFS_IOCTL(VIDIOC_G_FMT)
MPIFS_IOCTL(VIDIOC_S_FMT)
MPIFS_IOCTL(VIDIOC_TRY_FMT)
MPIFS_IOCTL(VIDIOC_G_PARM)
MPIFS_IOCTL(VIDIOC_S_PARM)
MPIFS_IOCTL(VIDIOC_G_SELECTION)
MPIFS_IOCTL(VIDIOC_S_SELECTION)
MPIFS_IOCTL(VIDIOC_ENUMINPUT)
MPIFS_IOCTL(VIDIOC_G_INPUT)
MPIFS_IOCTL(VIDIOC_S_INPUT)
MPIFS_IOCTL(VIDIOC_REQBUFS)
MPIFS_IOCTL(VIDIOC_CREATE_BUFS)
MPIFS_IOCTL(VIDIOC_QUERYBUF)
MPIFS_IOCTL(VIDIOC_EXPBUF)
MPIFS_IOCTL(VIDIOC_QBUF)
MPIFS_IOCTL(VIDIOC_DQBUF)
MPIFS_IOCTL(VIDIOC_STREAMON)
MPIFS_IOCTL(VIDIOC_STREAMOFF)
MPIFS_IOCTL(VIDIOC_QUERY_EXT_CTRL)
MPIFS_IOCTL(VIDIOC_QUERYMENU)
MPIFS_IOCTL(VIDIOC_G_EXT_CTRLS)
MPIFS_IOCTL(VIDIOC_S_EXT_CTRLS)
MPIFS_IOCTL(VIDIOC_SUBSCRIBE_EVENT)
MPIFS_IOCTL(VIDIOC_UNSUBSCRIBE_EVENT)
MPIFS_IOCTL(VIDIOC_DQEVENT)
MPIFS_IOCTL(VIDIOC_QUERY_DV_TIMINGS)
MPIFS_IOCTL(VIDIOC_S_DV_TIMINGS)
MPIFS_IOCTL(VIDIOC_ENCODER_CMD)
MPIFS_IOCTL(VIDIOC_TRY_ENCODER_CMD)
MPIFS_IOCTL(VIDIOC_DECODER_CMD)
MPIFS_IOCTL(VIDIOC_TRY_DECODER_CMD)
#undef MPIFS_IOCTL

// MARK: pixel formats and flags written as expressions the importer does not evaluate

#define MPIFS_FOURCC(name) static const uint32_t mpifs_##name = name;
MPIFS_FOURCC(V4L2_PIX_FMT_NV12)
MPIFS_FOURCC(V4L2_PIX_FMT_NV21)
MPIFS_FOURCC(V4L2_PIX_FMT_P010)
MPIFS_FOURCC(V4L2_PIX_FMT_NV16)
MPIFS_FOURCC(V4L2_PIX_FMT_NV12M)
MPIFS_FOURCC(V4L2_PIX_FMT_NV16M)
MPIFS_FOURCC(V4L2_PIX_FMT_YUV420)
MPIFS_FOURCC(V4L2_PIX_FMT_YUV420M)
MPIFS_FOURCC(V4L2_PIX_FMT_YUV422P)
MPIFS_FOURCC(V4L2_PIX_FMT_YUYV)
MPIFS_FOURCC(V4L2_PIX_FMT_UYVY)
MPIFS_FOURCC(V4L2_PIX_FMT_RGB24)
MPIFS_FOURCC(V4L2_PIX_FMT_BGR24)
MPIFS_FOURCC(V4L2_PIX_FMT_RGB565)
MPIFS_FOURCC(V4L2_PIX_FMT_ABGR32)
MPIFS_FOURCC(V4L2_PIX_FMT_XBGR32)
MPIFS_FOURCC(V4L2_PIX_FMT_RGBX32)
MPIFS_FOURCC(V4L2_PIX_FMT_GREY)
MPIFS_FOURCC(V4L2_PIX_FMT_MJPEG)
MPIFS_FOURCC(V4L2_PIX_FMT_JPEG)
MPIFS_FOURCC(V4L2_PIX_FMT_H264)
MPIFS_FOURCC(V4L2_PIX_FMT_HEVC)
MPIFS_FOURCC(V4L2_PIX_FMT_VP8)
MPIFS_FOURCC(V4L2_PIX_FMT_VP9)
MPIFS_FOURCC(V4L2_PIX_FMT_FWHT)
#undef MPIFS_FOURCC

static const uint64_t mpifs_DMA_BUF_SYNC_READ = DMA_BUF_SYNC_READ;
static const uint64_t mpifs_DMA_BUF_SYNC_WRITE = DMA_BUF_SYNC_WRITE;
static const uint64_t mpifs_DMA_BUF_SYNC_START = DMA_BUF_SYNC_START;
static const uint64_t mpifs_DMA_BUF_SYNC_END = DMA_BUF_SYNC_END;
static const int mpifs_DMA_BUF_NAME_LEN = DMA_BUF_NAME_LEN;
static const int mpifs_MEMFD_FLAGS = MFD_CLOEXEC | MFD_ALLOW_SEALING;
// F_SEAL_SHRINK of linux/fcntl.h, which the C library hides without _GNU_SOURCE; checked in CLinux.c.
static const int mpifs_SEAL_SHRINK = 2;

// MARK: one shape for single-planar and multi-planar formats and buffers
//
// The kernel has two layouts for each (v4l2_pix_format and v4l2_pix_format_mplane, a buffer with and without planes),
// chosen by the buffer type. Above this line there is one: always an array of planes.

enum { MPIFS_MAX_PLANES = VIDEO_MAX_PLANES };

struct mpifs_plane_format {
  uint32_t bytesperline;
  uint32_t sizeimage;
};

struct mpifs_format {
  uint32_t type;
  uint32_t width;
  uint32_t height;
  uint32_t pixelformat;
  uint32_t field;
  uint32_t colorspace;
  uint32_t ycbcr_enc;
  uint32_t quantization;
  uint32_t xfer_func;
  uint32_t num_planes;
  struct mpifs_plane_format planes[MPIFS_MAX_PLANES];
};

struct mpifs_plane {
  uint32_t bytesused;
  uint32_t length;
  uint32_t data_offset;
  uint32_t mem_offset;
  int32_t fd;
};

struct mpifs_buffer {
  uint32_t index;
  uint32_t type;
  uint32_t memory;
  uint32_t flags;
  uint32_t field;
  uint32_t sequence;
  int64_t tv_sec;
  int64_t tv_usec;
  uint32_t num_planes;
  struct mpifs_plane planes[MPIFS_MAX_PLANES];
};

int mpifs_is_multiplanar(uint32_t type);
void mpifs_format_to_kernel(const struct mpifs_format *from, struct v4l2_format *to);
void mpifs_format_from_kernel(const struct v4l2_format *from, struct mpifs_format *to);
// planes is the array of MPIFS_MAX_PLANES that `to` points to when the type is multi-planar.
void mpifs_buffer_to_kernel(const struct mpifs_buffer *from, struct v4l2_buffer *to, struct v4l2_plane *planes);
void mpifs_buffer_from_kernel(const struct v4l2_buffer *from, struct mpifs_buffer *to);

static inline struct mpifs_plane mpifs_buffer_plane(const struct mpifs_buffer *b, uint32_t i) { return b->planes[i]; }
static inline void mpifs_buffer_set_plane(struct mpifs_buffer *b, uint32_t i, struct mpifs_plane p) { b->planes[i] = p; }
static inline struct mpifs_plane_format mpifs_format_plane(const struct mpifs_format *f, uint32_t i) { return f->planes[i]; }
static inline void mpifs_format_set_plane(struct mpifs_format *f, uint32_t i, struct mpifs_plane_format p) { f->planes[i] = p; }

// MARK: the frame interval, whose place in the union depends on the direction

struct mpifs_interval {
  uint32_t capability;
  uint32_t numerator;
  uint32_t denominator;
};
void mpifs_interval_to_kernel(uint32_t type, struct mpifs_interval from, struct v4l2_streamparm *to);
struct mpifs_interval mpifs_interval_from_kernel(const struct v4l2_streamparm *from);

// MARK: frame sizes and intervals: discrete, stepwise and continuous in one shape

struct mpifs_size_range {
  uint32_t kind;
  uint32_t min_width, max_width, step_width;
  uint32_t min_height, max_height, step_height;
};
struct mpifs_size_range mpifs_size_from_kernel(const struct v4l2_frmsizeenum *from);

struct mpifs_interval_range {
  uint32_t kind;
  struct v4l2_fract min, max, step;
};
struct mpifs_interval_range mpifs_intervals_from_kernel(const struct v4l2_frmivalenum *from);

// MARK: controls

#define MPIFS_CID(name) static const uint32_t mpifs_##name = name;
MPIFS_CID(V4L2_CID_MPEG_VIDEO_GOP_SIZE)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_B_FRAMES)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_BITRATE)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_BITRATE_MODE)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_FRAME_RC_ENABLE)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_HEADER_MODE)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_REPEAT_SEQ_HEADER)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_PREPEND_SPSPPS_TO_IDR)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_H264_I_PERIOD)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_H264_PROFILE)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_H264_I_FRAME_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_H264_P_FRAME_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_HEVC_I_FRAME_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_HEVC_P_FRAME_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_VPX_I_FRAME_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_VPX_P_FRAME_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_H264_MIN_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_H264_MAX_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_H264_P_FRAME_MIN_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_H264_P_FRAME_MAX_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_HEVC_MIN_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_HEVC_MAX_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_HEVC_P_FRAME_MIN_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_HEVC_P_FRAME_MAX_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_VPX_MIN_QP)
MPIFS_CID(V4L2_CID_MPEG_VIDEO_VPX_MAX_QP)
MPIFS_CID(V4L2_CID_FWHT_I_FRAME_QP)
MPIFS_CID(V4L2_CID_FWHT_P_FRAME_QP)
MPIFS_CID(V4L2_CID_JPEG_COMPRESSION_QUALITY)
#undef MPIFS_CID

struct mpifs_control_description {
  uint32_t id;
  uint32_t type;
  uint32_t flags;
  uint32_t element_size;
  uint32_t elements;
  int64_t minimum;
  int64_t maximum;
  uint64_t step;
  int64_t default_value;
  char name[33];
};
void mpifs_control_from_kernel(const struct v4l2_query_ext_ctrl *from, struct mpifs_control_description *to);
// One control in one call. is64 chooses the member of the union.
void mpifs_control_to_kernel(uint32_t id, int64_t value, int is64, struct v4l2_ext_controls *list,
                             struct v4l2_ext_control *control);
int64_t mpifs_control_value(const struct v4l2_ext_control *control, int is64);
// A control that is text: `bytes` are there for the kernel to read or write, the zero at the end included.
void mpifs_control_text_to_kernel(uint32_t id, char *text, uint32_t bytes, struct v4l2_ext_controls *list,
                                  struct v4l2_ext_control *control);
// The name of a menu entry (33 bytes with the zero).
void mpifs_menu_name(const struct v4l2_querymenu *from, char *to);
int64_t mpifs_menu_value(const struct v4l2_querymenu *from);

// MARK: digital video timings

struct mpifs_timings {
  uint32_t width;
  uint32_t height;
  uint32_t interlaced;
  uint64_t pixel_clock;
  uint64_t pixels_per_frame; // blanking included
};
struct mpifs_timings mpifs_timings_from_kernel(const struct v4l2_dv_timings *from);

// MARK: events

struct mpifs_event {
  uint32_t type;
  uint32_t id;
  uint32_t pending;
  uint32_t sequence;
  uint32_t changes; // V4L2_EVENT_SOURCE_CHANGE: what; V4L2_EVENT_CTRL: what
  // V4L2_EVENT_CTRL: the control as it is now
  int64_t value;
  uint32_t control_type;
  uint32_t flags;
  int64_t minimum;
  int64_t maximum;
  int64_t step;
  int64_t default_value;
};
struct mpifs_event mpifs_event_from_kernel(const struct v4l2_event *from);
