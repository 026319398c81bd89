// SPDX-License-Identifier: Apache-2.0
internal import CDRM

/// One video mode of a connector: size and timing.
public struct DRMMode: Sendable, Equatable {
  /// As the kernel has it; what a mode is set with.
  let info: drm_mode_modeinfo

  init(_ info: drm_mode_modeinfo) { self.info = info }

  /// A mode without blanking, for tests.
  public init(width: Int, height: Int, refresh: Int, isPreferred: Bool = false) {
    var info = drm_mode_modeinfo()
    (info.hdisplay, info.htotal) = (UInt16(width), UInt16(width))
    (info.vdisplay, info.vtotal) = (UInt16(height), UInt16(height))
    info.clock = UInt32(width * height * refresh / 1000)
    info.type = isPreferred ? UInt32(DRM_MODE_TYPE_PREFERRED) : 0
    self.info = info
  }

  public var width: Int { Int(info.hdisplay) }
  public var height: Int { Int(info.vdisplay) }
  public var isPreferred: Bool { info.type & UInt32(DRM_MODE_TYPE_PREFERRED) != 0 }
  public var isInterlaced: Bool { info.flags & UInt32(DRM_MODE_FLAG_INTERLACE) != 0 }

  /// Pictures a second times 1000, from the pixel clock.
  public var milliHertz: Int {
    var pixels = Int(info.htotal) * Int(info.vtotal)
    guard pixels > 0 else { return 0 }
    var scale = 1
    if isInterlaced { scale = 2 }
    if info.flags & UInt32(DRM_MODE_FLAG_DBLSCAN) != 0 { pixels *= 2 }
    if info.vscan > 1 { pixels *= Int(info.vscan) }
    return (Int(info.clock) * 1_000_000 * scale + pixels / 2) / pixels
  }

  /// Nanoseconds from one picture to the next; 0 when the mode does not tell.
  public var intervalNanoseconds: Int64 { milliHertz == 0 ? 0 : 1_000_000_000_000 / Int64(milliHertz) }

  public static func == (a: DRMMode, b: DRMMode) -> Bool {
    withUnsafeBytes(of: a.info) { first in withUnsafeBytes(of: b.info) { first.elementsEqual($0) } }
  }
}

extension DRMMode: CustomStringConvertible {
  /// `1280x720@60.00`, with an `i` for interlaced ones.
  public var description: String {
    let hundredths = (milliHertz + 5) / 10
    let rest = hundredths % 100
    return "\(width)x\(height)\(isInterlaced ? "i" : "")@\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
  }
}
