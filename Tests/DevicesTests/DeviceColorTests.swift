// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

@testable import Devices
@testable import LinuxMedia

/// What devices say of the colours they give, and are told of those they get.
@Suite(.ownThread) struct DeviceColorTests {
  private static func format(_ fourcc: FourCC, space: UInt32, quantization: UInt32 = 0, encoding: UInt32 = 0)
    -> VideoFormat
  {
    var color = VideoFormat.Color()
    (color.space, color.quantization, color.encoding) = (space, quantization, encoding)
    return VideoFormat(
      type: .capture, fourcc: fourcc, width: 64, height: 48,
      planes: [VideoFormat.Plane(bytesPerLine: 256, size: 64 << 10)], color: color)
  }

  @Test func aCamerasColourIsThatOfItsFormat() {
    // SRGB, as most USB cameras say: BT.601 in limited range, with sRGB's curve.
    #expect(
      CaptureFormats.layout(of: Self.format(.yuyv, space: 8))?.color
        == ColorDescription(.smpte170m, primaries: 1, transfer: 13))
    #expect(
      CaptureFormats.layout(of: Self.format(.nv12, space: 3, quantization: 1))?.color
        == ColorDescription(.bt709, primaries: 1, transfer: 1, isFullRange: true))
    #expect(CaptureFormats.layout(of: Self.format(.nv12, space: 8, encoding: 2))?.color.matrix == .bt709)
    #expect(CaptureFormats.layout(of: Self.format(.nv12, space: 0))?.color == .unspecified)
    #expect(CaptureFormats.layout(of: Self.format(.xbgr32, space: 8))?.color.matrix == .rgb)
    // Whatever the driver says of a JPEG picture.
    #expect(CaptureFormats.layout(of: Self.format(.mjpeg, space: 3))?.color == .jfif)
  }

  @Test func aPlaneGetsWhatItKnowsAndElseBT601InLimitedRange() {
    func property(_ id: UInt32, _ names: String...) -> DRMProperty {
      DRMProperty(
        id: id, value: 0, isImmutable: false,
        choices: Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, UInt64($0)) }))
    }
    let full709 = ColorDescription(.bt709, isFullRange: true)
    let none = PlaneColors(encoding: nil, range: nil)
    #expect(none.know(.bt601) && none.know(.unspecified))
    #expect(!none.know(.jfif) && !none.know(ColorDescription(.bt709)) && !none.know(full709))
    let some = PlaneColors(
      encoding: property(1, "ITU-R BT.601 YCbCr", "ITU-R BT.709 YCbCr"), range: property(2, "YCbCr limited range"))
    #expect(some.know(.bt601) && some.know(ColorDescription(.bt709)))
    #expect(!some.know(full709) && !some.know(ColorDescription(.bt2020)))
    let all = PlaneColors(
      encoding: property(1, "ITU-R BT.601 YCbCr", "ITU-R BT.709 YCbCr", "ITU-R BT.2020 YCbCr"),
      range: property(2, "YCbCr limited range", "YCbCr full range"))
    #expect(all.know(full709) && all.know(.jfif) && all.know(ColorDescription(.bt2020)))
    #expect(!all.know(ColorDescription(.smpte240m)))
  }
}
