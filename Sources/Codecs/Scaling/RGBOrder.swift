// SPDX-License-Identifier: Apache-2.0
import CYUV
import MediaCore

extension Pixels {
  /// RGB of one order as RGB of another, or with another number of bytes a pixel: the same numbers.
  func reorder(into target: Pixels) {
    let (w, h) = (CInt(width), CInt(height))
    let (from, to) = (plane0, target.plane0)
    let isSwapped = format.startsWithRed != target.format.startsWithRed
    switch (format.is32, target.format.is32) {
    case (true, true): _ = ABGRToARGB(from.base, from.stride, to.base, to.stride, w, h)
    case (true, false):
      _ = (isSwapped ? ARGBToRAW : ARGBToRGB24)(from.base, from.stride, to.base, to.stride, w, h)
    case (false, true):
      _ = (isSwapped ? RAWToARGB : RGB24ToARGB)(from.base, from.stride, to.base, to.stride, w, h)
    case (false, false): _ = RAWToRGB24(from.base, from.stride, to.base, to.stride, w, h)
    }
  }
}

extension PixelFormat {
  /// 4:2:0 with separate luma: what the kernels work on.
  var is420: Bool { self == .i420 || self == .nv12 || self == .nv21 }
  var is32: Bool { self == .xrgb8888 || self == .argb8888 || self == .xbgr8888 }
  /// Red comes first in memory, not blue.
  var startsWithRed: Bool { self == .xbgr8888 || self == .rgb24 }
}
