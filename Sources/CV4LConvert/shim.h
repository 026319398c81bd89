// The only door to libv4lconvert.
#pragma once
#include <errno.h>
#include <libv4l-plugin.h>
#include <libv4lconvert.h>
#include <linux/videodev2.h>
#include <stdint.h>
#include <string.h>

// The library wants a device to ask for formats and to add controls of its own to. Here it only converts: this device has
// nothing and answers nothing.
static inline int mpifs_v4lconvert_ioctl(void *none, int fd, unsigned long request, void *argument) {
  (void)none, (void)fd;
  if (request == (unsigned long)VIDIOC_QUERYCAP) {
    memset(argument, 0, sizeof(struct v4l2_capability));
    return 0;
  }
  errno = EINVAL;
  return -1;
}
static inline ssize_t mpifs_v4lconvert_read(void *none, int fd, void *to, size_t size) {
  (void)none, (void)fd, (void)to, (void)size;
  errno = EINVAL;
  return -1;
}
static inline ssize_t mpifs_v4lconvert_write(void *none, int fd, const void *from, size_t size) {
  (void)none, (void)fd, (void)from, (void)size;
  errno = EINVAL;
  return -1;
}
static inline void *mpifs_v4lconvert_init(int fd) { return (void)fd, NULL; }
static inline void mpifs_v4lconvert_close(void *none) { (void)none; }

static inline struct v4lconvert_data *mpifs_v4lconvert_create(void) {
  static const struct libv4l_dev_ops nothing = {
      .init = mpifs_v4lconvert_init,
      .close = mpifs_v4lconvert_close,
      .ioctl = mpifs_v4lconvert_ioctl,
      .read = mpifs_v4lconvert_read,
      .write = mpifs_v4lconvert_write,
  };
  return v4lconvert_create_with_dev_ops(-1, NULL, &nothing);
}

// Converts one picture to packed planes of 4:2:0 (YU12). The size of what was written, or a negative errno.
static inline int mpifs_v4lconvert_to_yu12(struct v4lconvert_data *data, uint32_t pixelformat, uint32_t width,
                                           uint32_t height, uint32_t bytesperline, unsigned char *from, int from_size,
                                           unsigned char *to, int to_size) {
  struct v4l2_format source, target;
  memset(&source, 0, sizeof source);
  source.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
  source.fmt.pix.width = width;
  source.fmt.pix.height = height;
  source.fmt.pix.field = V4L2_FIELD_NONE;
  target = source;
  source.fmt.pix.pixelformat = pixelformat;
  source.fmt.pix.bytesperline = bytesperline;
  source.fmt.pix.sizeimage = (uint32_t)from_size;
  target.fmt.pix.pixelformat = V4L2_PIX_FMT_YUV420;
  target.fmt.pix.bytesperline = width;
  target.fmt.pix.sizeimage = width * height * 3 / 2;
  errno = 0;
  int result = v4lconvert_convert(data, &source, &target, from, from_size, to, to_size);
  return result >= 0 ? result : errno ? -errno : -EIO;
}
