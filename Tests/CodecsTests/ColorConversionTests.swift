// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// Colours through the converter, against the formulas of ITU-R BT.601, BT.709 and BT.2020 in floating point.
@Suite(.ownThread) struct ColorConversionTests {
  static let colors: [ColorDescription] = [
    ColorDescription(.smpte170m), .jfif, ColorDescription(.bt709), ColorDescription(.bt709, isFullRange: true),
    ColorDescription(.bt2020), ColorDescription(.bt2020, isFullRange: true), ColorDescription(.smpte240m),
  ]

  typealias RGB = (r: Double, g: Double, b: Double)

  /// Colours of the corners, of bars at three quarters, and in between, 0...255.
  static let samples: [RGB] = [
    (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (191, 191, 0), (0, 191, 191), (191, 0, 191),
    (200, 100, 50), (20, 40, 220), (128, 128, 128), (90, 200, 130),
  ]

  static func samples(of rgb: RGB, in color: ColorDescription) -> (y: Int, u: Int, v: Int) {
    let (kr, kb) = color.matrix.weights
    let (r, g, b) = (rgb.r / 255, rgb.g / 255, rgb.b / 255)
    let y = kr * r + (1 - kr - kb) * g + kb * b
    let (u, v) = ((b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr)))
    let (luma, difference, black) = color.isFullRange ? (255.0, 255.0, 0.0) : (219.0, 224.0, 16.0)
    func byte(_ value: Double) -> Int { Int(min(255, max(0, value.rounded()))) }
    return (byte(black + luma * y), byte(128 + difference * u), byte(128 + difference * v))
  }

  /// A picture of one colour.
  static func picture(_ format: PixelFormat, _ color: ColorDescription, _ rgb: RGB) throws -> Frame {
    var layout = try #require(FrameLayout(format, width: 18, height: 10))
    layout.color = color
    if format.isRGB {
      let frame = try makeFrame(layout)
      let p = try frame.beginPixels(write: true)
      let bytes = (format.startsWithRed ? [rgb.r, rgb.g, rgb.b] : [rgb.b, rgb.g, rgb.r]) + (format.is32 ? [255] : [])
      for row in 0..<10 {
        for index in 0..<18 * bytes.count {
          p.plane0.base[row * Int(p.plane0.stride) + index] = UInt8(bytes[index % bytes.count])
        }
      }
      try frame.endPixels(write: true)
      return frame
    }
    let (y, u, v) = samples(of: rgb, in: color)
    let half = 9 * 5
    let picture = Reference(
      width: 18, height: 10, y: Array(repeating: y, count: 180), u: Array(repeating: u, count: half),
      v: Array(repeating: v, count: half))
    var frame = try picture.frame(format)
    frame.layout.color = color
    return frame
  }

  static func converted(
    _ source: borrowing Frame, to format: PixelFormat, _ color: ColorDescription, _ width: Int, _ height: Int
  ) throws -> Frame {
    var layout = try #require(FrameLayout(format, width: width, height: height))
    layout.color = color
    var target = try makeFrame(layout)
    _ = try LibYUVScaler().scale(source, crop: nil, transform: PictureTransform(), to: &target)
    return target
  }

  @Test(arguments: [PixelFormat.i420, .nv12, .nv21], [PixelFormat.i420, .nv12, .nv21])
  func samplesBecomeThoseOfTheOtherMatrixAndRange(_ from: PixelFormat, _ to: PixelFormat) throws {
    for (width, height) in [(18, 10), (8, 6)] {
      for source in Self.colors {
        for target in Self.colors {
          for rgb in Self.samples {
            let frame = try Self.converted(try Self.picture(from, source, rgb), to: to, target, width, height)
            let found = try Reference(frame)
            let wanted = Self.samples(of: rgb, in: target)
            for (name, values, value) in [("y", found.y, wanted.y), ("u", found.u, wanted.u), ("v", found.v, wanted.v)]
            {
              // What comes was rounded before.
              let isRight = values.allSatisfy { abs($0 - value) <= 2 }
              #expect(isRight, "\(rgb) \(source) to \(target): \(name) \(values[0]), not \(value)")
            }
          }
        }
      }
    }
  }

  @Test(arguments: [PixelFormat.xrgb8888, .xbgr8888, .rgb24, .bgr24], [PixelFormat.i420, .nv12, .nv21])
  func ofAndToRGBTheMatrixAndRangeAreTheFrames(_ rgbFormat: PixelFormat, _ format: PixelFormat) throws {
    for (width, height) in [(18, 10), (8, 6)] {
      for color in Self.colors {
        for rgb in Self.samples {
          let made = try Self.converted(try Self.picture(format, color, rgb), to: rgbFormat, .rgb, width, height)
          let p = try made.beginPixels(write: false)
          let bytes = (0..<3).map { Double(p.plane0.at(row: 1, column: $0).base.pointee) }
          try made.endPixels(write: false)
          let found = rgbFormat.startsWithRed ? (bytes[0], bytes[1], bytes[2]) : (bytes[2], bytes[1], bytes[0])
          let error = max(abs(found.0 - rgb.r), abs(found.1 - rgb.g), abs(found.2 - rgb.b))
          #expect(error <= 3, "\(rgb) in \(color) became \(found)")
          let back = try Reference(
            try Self.converted(try Self.picture(rgbFormat, .rgb, rgb), to: format, color, width, height))
          let wanted = Self.samples(of: rgb, in: color)
          let off = max(abs(back.y[0] - wanted.y), abs(back.u[0] - wanted.u), abs(back.v[0] - wanted.v))
          #expect(off <= 3, "\(rgb) into \(color): \(back.y[0]) \(back.u[0]) \(back.v[0]), not \(wanted)")
        }
      }
    }
  }

  /// Where nothing is said of the target, samples stay; primaries and transfer alone change none.
  @Test func whatIsNotSaidChangesNothing() throws {
    let picture = Reference.random(18, 10, seed: 7)
    var frame = try picture.frame(.i420)
    frame.layout.color = ColorDescription(.bt709, primaries: 9, transfer: 16, isFullRange: true)
    #expect(try Reference(try Self.converted(frame, to: .nv12, .unspecified, 18, 10)) == picture)
    let other = ColorDescription(.bt709, primaries: 1, transfer: 1, isFullRange: true)
    #expect(try Reference(try Self.converted(frame, to: .nv12, other, 18, 10)) == picture)
  }

  /// A snapshot decoded by FFmpeg, which reads JPEG as BT.601 in full range.
  @Test(arguments: colors) func aSnapshotHasTheFramesColours(_ color: ColorDescription) throws {
    let encoder = try TurboJPEGPictureEncoder()
    for format: PixelFormat in [.i420, .nv12] {
      for rgb in Self.samples {
        let jpeg = try encoder.jpeg(try Self.picture(format, color, rgb), quality: 98)
        let decoded = try Tool.run(
          "ffmpeg",
          ["-v", "error", "-f", "mjpeg", "-i", "pipe:0", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"],
          input: Data(jpeg))
        let bytes = Array(decoded.output.prefix(3)).map { Double($0) }
        try #require(bytes.count == 3, "\(decoded.errors)")
        let error = max(abs(bytes[0] - rgb.r), abs(bytes[1] - rgb.g), abs(bytes[2] - rgb.b))
        #expect(error <= 3, "\(rgb) in \(color) became \(bytes)")
      }
    }
  }
}

@Suite(.ownThread) struct ColorDescriptionTests {
  @Test func itReadsAsWordsAndSaysWhatDiffersFromTheMatrix() {
    #expect("\(ColorDescription.unspecified)" == "unspecified limited")
    #expect("\(ColorDescription.jfif)" == "bt601 full")
    #expect("\(ColorDescription(.bt709, primaries: 1, transfer: 1))" == "bt709 limited")
    #expect(
      "\(ColorDescription(.bt2020, primaries: 9, transfer: 16))" == "bt2020 limited, transfer pq")
    #expect(
      "\(ColorDescription(.smpte170m, primaries: 1, transfer: 13))" == "bt601 limited, primaries bt709, transfer srgb")
  }

  /// The rows of the kernel's documentation of colour spaces, with everything else left to the driver's defaults.
  @Test(
    arguments: [
      // SMPTE170M, 240M, REC709, 470_SYSTEM_M, 470_SYSTEM_BG, JPEG, SRGB, BT2020, DCI_P3
      (1, ColorDescription(.smpte170m, primaries: 6, transfer: 1)),
      (2, ColorDescription(.smpte240m, primaries: 7, transfer: 7)),
      (3, ColorDescription(.bt709, primaries: 1, transfer: 1)),
      (5, ColorDescription(.smpte170m, primaries: 4, transfer: 1)),
      (6, ColorDescription(.smpte170m, primaries: 5, transfer: 1)),
      (7, ColorDescription(.smpte170m, primaries: 1, transfer: 13, isFullRange: true)),
      (8, ColorDescription(.smpte170m, primaries: 1, transfer: 13)),
      (10, ColorDescription(.bt2020, primaries: 9, transfer: 1)),
      (12, ColorDescription(.bt709, primaries: 11, transfer: 17)), (0, ColorDescription.unspecified),
    ] as [(UInt32, ColorDescription)])
  func whatADriverLeavesOpenFollowsFromTheColourSpace(_ space: UInt32, _ wanted: ColorDescription) {
    #expect(ColorDescription(v4l2: space, transfer: 0, encoding: 0, quantization: 0, isRGB: false) == wanted)
    let full = ColorDescription(v4l2: space, transfer: 0, encoding: 2, quantization: 1, isRGB: false)
    #expect(full.matrix == .bt709 && full.isFullRange)
    let rgb = ColorDescription(v4l2: space, transfer: 0, encoding: 0, quantization: 0, isRGB: true)
    #expect(rgb.matrix == .rgb && rgb.isFullRange)
  }

  @Test func aStreamsHeadersSayTheirColour() {
    // vicodec's header: REC709, then the transfer function, encoding and quantisation.
    let words: [UInt32] = [0x4f4f_4f4f, 0xffff_ffff, 3, 64, 48, 1 << 10 | 1 << 19, 3, 0, 0, 1, 0]
    let bytes = words.flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } }
    var parser = PictureParser(.fwht)
    _ = bytes.withUnsafeBytes { parser.parse($0) }
    #expect(parser.syntax?.color == ColorDescription(.bt709, primaries: 1, transfer: 1, isFullRange: true))
  }

  @Test func theShapeOfAPictureStaysWhenItIsScaledAndTurned() {
    let square = SampleAspect.square
    #expect(square.scaled(from: (1280, 720), to: (640, 360)) == square)
    #expect(square.scaled(from: (1280, 720), to: (640, 480)) == SampleAspect(4, 3))
    #expect(SampleAspect(16, 11).scaled(from: (720, 576), to: (704, 576)) == SampleAspect(180, 121))
    // Rounded to even sizes, which nobody sees.
    #expect(square.scaled(from: (1920, 1080), to: (854, 480)) == square)
    #expect(SampleAspect.unknown.scaled(from: (1280, 720), to: (640, 480)) == .unknown)
    #expect(SampleAspect(4, 3).turned == SampleAspect(3, 4))
    #expect(
      SampleAspect(0, 1) == .unknown && SampleAspect(1, -1) == .unknown && SampleAspect(10, 20) == SampleAspect(1, 2))
    #expect(SampleAspect(70_000, 1) == SampleAspect(35_000, 1))
  }
}
