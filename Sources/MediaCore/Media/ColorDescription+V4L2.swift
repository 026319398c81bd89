// SPDX-License-Identifier: Apache-2.0

extension ColorDescription {
  /// From the four numbers a V4L2 format has (kernel: `videodev2.h`, "Colorspaces"). What a driver leaves at 0 follows from the
  /// others, as the kernel's V4L2_MAP_..._DEFAULT macros have it.
  /// - Parameters:
  ///   - space: `V4L2_COLORSPACE_`
  ///   - transfer: `V4L2_XFER_FUNC_`
  ///   - encoding: `V4L2_YCBCR_ENC_`
  ///   - quantization: `V4L2_QUANTIZATION_`
  ///   - isRGB: the pixels are red, green and blue.
  public init(v4l2 space: UInt32, transfer: UInt32, encoding: UInt32, quantization: UInt32, isRGB: Bool) {
    self.init()
    // 7: JPEG. Drivers that say nothing at all leave everything open.
    isFullRange = quantization == 1 || quantization != 2 && (isRGB || space == 7)
    guard !isRGB else {
      matrix = .rgb
      (primaries, self.transfer) = (
        ColorDescription.primaries(v4l2: space), ColorDescription.transfer(v4l2: space, transfer)
      )
      return
    }
    if space != 0 || encoding != 0 { matrix = ColorDescription.matrix(v4l2: space, encoding) }
    if space != 0 || transfer != 0 { self.transfer = ColorDescription.transfer(v4l2: space, transfer) }
    primaries = ColorDescription.primaries(v4l2: space)
  }

  private static func matrix(v4l2 space: UInt32, _ encoding: UInt32) -> Matrix {
    switch encoding {
    // 601, XV601, SYCC
    case 1, 3, 5: .smpte170m
    case 2, 4: .bt709
    case 6: .bt2020
    case 7: Matrix(rawValue: 10)
    case 8: .smpte240m
    default:
      switch space {
      // REC709, DCI_P3
      case 3, 12: .bt709
      case 10: .bt2020
      case 2: .smpte240m
      default: .smpte170m
      }
    }
  }

  private static func primaries(v4l2 space: UInt32) -> UInt8 {
    switch space {
    case 1: 6
    case 2: 7
    // REC709, JPEG, SRGB
    case 3, 7, 8: 1
    case 5: 4
    case 6: 5
    case 10: 9
    case 12: 11
    default: 2
    }
  }

  private static func transfer(v4l2 space: UInt32, _ transfer: UInt32) -> UInt8 {
    switch transfer {
    case 1: 1
    case 2: 13
    case 4: 7
    case 5: 8
    case 6: 17
    case 7: 16
    // H.273 has no number for Adobe's.
    case 3: 2
    default:
      switch space {
      case 0, 9: 2
      case 2: 7
      case 7, 8: 13
      case 11: 8
      case 12: 17
      default: 1
      }
    }
  }
}
