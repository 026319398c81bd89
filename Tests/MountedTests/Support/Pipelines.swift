// SPDX-License-Identifier: Apache-2.0

/// Configurations for tests that change things: small pictures, so that many run side by side.
enum Pipelines {
  /// `vi/0` -> `vpss/0` with outputs 640x360 and 320x180 -> `venc/0` of the first, or of another.
  static func small(
    _ more: String = "", gop: Int = 15, bitrate: Int = 400, of source: String = "vpss/0/0", codec: String = "h264"
  )
    -> String
  {
    """
    vi/0/input = pattern
    vi/0/width = 640
    vi/0/height = 360
    vi/0/fps = 30
    vi/0/enable = 1
    vpss/0/source = vi/0
    vpss/0/enable = 1
    vpss/0/0/width = 640
    vpss/0/0/height = 360
    vpss/0/0/enable = 1
    vpss/0/1/width = 320
    vpss/0/1/height = 180
    vpss/0/1/enable = 1
    venc/0/codec = \(codec)
    venc/0/gop = \(gop)
    venc/0/bitrate = \(bitrate)
    venc/0/source = \(source)
    venc/0/enable = 1
    \(more)

    """
  }
}
