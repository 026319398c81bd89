// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// What leaves the scaler against what FFmpeg's makes of the same pictures.
@Suite(.ownThread) struct ScalingAgainstFFmpegTests {
  private static let names: [PixelFormat: String] = [
    .nv12: "nv12", .nv21: "nv21", .i420: "yuv420p", .nv16: "nv16", .yuyv: "yuyv422", .uyvy: "uyvy422", .p010: "p010le",
    .xrgb8888: "bgr0", .argb8888: "bgra", .xbgr8888: "rgb0", .rgb24: "rgb24", .bgr24: "bgr24", .grey: "gray",
  ]

  /// Where pictures come from, as ffmpeg's arguments: one generated with detail in every place, and real footage where there is some.
  private static func sources() -> [[String]] {
    var all = [["-f", "lavfi", "-i", "testsrc2=size=768x576:rate=1,noise=alls=6:all_seed=1,boxblur=1"]]
    for (clip, second) in [("vtest.avi", "5"), ("Megamind.avi", "4")] {
      guard let folder = ProcessInfo.processInfo.environment["MPIFS_CLIPS"] else {
        print("not run with real footage \(clip): MPIFS_CLIPS names no folder with the clips of Debian's opencv-doc")
        continue
      }
      all.append(["-ss", second, "-i", "\(folder)/\(clip)"])
    }
    return all
  }

  /// One picture of ffmpeg's.
  private static func picture(
    _ source: [String], _ format: PixelFormat, filters: String, input: [UInt8]? = nil
  ) throws -> [UInt8] {
    let name = try #require(names[format])
    let arguments =
      ["-v", "error"] + source + [
        "-frames:v", "1", "-vf", filters, "-pix_fmt", name, "-f", "rawvideo", "pipe:1",
      ]
    let outcome = try Tool.run("ffmpeg", arguments, input: input.map { Data($0) })
    try #require(outcome.status == 0, "\(outcome.errors)")
    return Array(outcome.output)
  }

  /// The same picture in another size or format by FFmpeg's scaler.
  private static func remade(
    _ bytes: [UInt8], _ format: PixelFormat, _ width: Int, _ height: Int, to: PixelFormat, filters: String
  ) throws -> [UInt8] {
    let name = try #require(names[format])
    return try picture(
      ["-f", "rawvideo", "-pix_fmt", name, "-s", "\(width)x\(height)", "-i", "pipe:0"], to, filters: filters,
      input: bytes)
  }

  /// The same by this project's.
  private static func scaled(
    _ bytes: [UInt8], _ format: PixelFormat, _ width: Int, _ height: Int, crop: Rectangle? = nil,
    _ transform: PictureTransform = PictureTransform(), to: PixelFormat, _ newWidth: Int, _ newHeight: Int
  ) throws -> [UInt8] {
    let layout = try #require(FrameLayout(format, width: width, height: height, alignment: 1))
    try #require(layout.byteCount == bytes.count)
    let source = try makeFrame(layout)
    try source.buffer.memory.map().copyMemory(from: bytes, byteCount: bytes.count)
    let made = try #require(FrameLayout(to, width: newWidth, height: newHeight, alignment: 1))
    var target = try makeFrame(made)
    _ = try LibYUVScaler().scale(source, crop: crop, transform: transform, to: &target)
    return Array(UnsafeRawBufferPointer(start: try target.buffer.memory.map(), count: made.byteCount))
  }

  /// Peak signal to noise, in dB.
  private static func decibels(_ a: ArraySlice<UInt8>, _ b: ArraySlice<UInt8>) -> Double {
    let squares = a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        var sum = 0
        var at = 0
        while at < min(a.count, b.count) {
          let difference = Int(a[at]) &- Int(b[at])
          sum &+= difference &* difference
          at &+= 1
        }
        return sum
      }
    }
    return squares == 0 ? 99 : 10 * log10(255 * 255 * Double(a.count) / Double(squares))
  }

  /// Of luma and of both differences; of a packed format of all bytes.
  private static func decibels(
    _ a: [UInt8], _ b: [UInt8], _ format: PixelFormat, _ width: Int, _ height: Int
  ) throws -> [Double] {
    try #require(a.count == b.count)
    guard format.is420 else { return [decibels(a[...], b[...])] }
    let luma = width * height
    return [decibels(a[..<luma], b[..<luma]), decibels(a[luma...], b[luma...])]
  }

  private static let sizes = [
    (480, 352), (540, 396), (360, 264), (240, 176), (180, 132), (640, 480), (500, 374), (352, 288), (100, 74),
    (1440, 1056),
    (1080, 792), (1000, 600), (900, 400),
  ]

  @Test(arguments: [
    (PixelFormat.nv12, sizes), (.i420, [(480, 352), (352, 288), (1000, 600)]), (.nv21, [(480, 352), (900, 400)]),
  ])
  func scaledPicturesAreFFmpegs(_ format: PixelFormat, _ sizes: [(Int, Int)]) throws {
    for source in Self.sources() {
      let (width, height) = (720, 528)
      let picture = try Self.picture(source, format, filters: "scale=\(width):\(height):flags=lanczos")
      for (newWidth, newHeight) in sizes {
        let made = try Self.scaled(picture, format, width, height, to: format, newWidth, newHeight)
        for (flags, least) in [("area+accurate_rnd", 58.0), ("bicubic+accurate_rnd", 40.0)] {
          let theirs = try Self.remade(
            picture, format, width, height, to: format, filters: "scale=\(newWidth):\(newHeight):flags=\(flags)")
          let found = try Self.decibels(made, theirs, format, newWidth, newHeight)
          #expect(found.allSatisfy { $0 >= least }, "\(newWidth)x\(newHeight) \(flags): \(found) dB")
        }
      }
    }
  }

  /// What a group makes of its first output's picture in place of the frame.
  @Test func picturesMadeOfMadeOnesAreFFmpegsOfTheFirst() throws {
    for source in Self.sources() {
      let (width, height) = (720, 528)
      let picture = try Self.picture(source, .nv12, filters: "scale=\(width):\(height):flags=lanczos")
      let first = try Self.scaled(picture, .nv12, width, height, to: .nv12, 480, 352)
      for (newWidth, newHeight) in [(240, 176), (120, 88)] {
        let made = try Self.scaled(first, .nv12, 480, 352, to: .nv12, newWidth, newHeight)
        let theirs = try Self.remade(
          picture, .nv12, width, height, to: .nv12, filters: "scale=\(newWidth):\(newHeight):flags=area+accurate_rnd")
        let found = try Self.decibels(made, theirs, .nv12, newWidth, newHeight)
        #expect(found.allSatisfy { $0 >= 50 }, "\(newWidth)x\(newHeight): \(found) dB")
      }
    }
  }

  /// Of 4:2:0 RGB is made with each colour difference for four samples, where FFmpeg's lie between their neighbours: edges of colours
  /// are as soft here as in pictures of this size.
  @Test(arguments: [
    (PixelFormat.yuyv, PixelFormat.nv12), (.uyvy, .i420), (.p010, .nv12), (.p010, .i420), (.nv12, .yuyv),
    (.i420, .uyvy),
    (.rgb24, .nv12), (.xrgb8888, .nv12), (.nv12, .xrgb8888), (.i420, .rgb24),
    (.bgr24, .nv12), (.xbgr8888, .nv12), (.bgr24, .i420), (.xbgr8888, .i420), (.nv12, .xbgr8888), (.nv21, .xbgr8888),
    (.i420, .bgr24), (.i420, .xbgr8888), (.nv21, .nv12), (.nv12, .nv21), (.nv21, .yuyv), (.uyvy, .nv21),
  ])
  func convertedPicturesAreFFmpegs(_ from: PixelFormat, _ to: PixelFormat) throws {
    for source in Self.sources() {
      let (width, height) = (1920, 1080)
      let picture = try Self.picture(
        source, from,
        filters: "\(source.contains("lavfi") ? "boxblur=6," : "")scale=\(width):\(height):flags=bicubic+accurate_rnd")
      let made = try Self.scaled(picture, from, width, height, to: to, width, height)
      let theirs = try Self.remade(
        picture, from, width, height, to: to, filters: "scale=flags=area+accurate_rnd+full_chroma_int")
      let found = try Self.decibels(made, theirs, to, width, height)
      #expect(found.allSatisfy { $0 >= 45 }, "\(found) dB")
    }
  }

  /// A picture that lies between bars in its frame: FFmpeg's scaled and padded.
  @Test(arguments: [PixelFormat.nv12, .i420, .yuyv, .rgb24]) func picturesBetweenBarsAreFFmpegs(
    _ format: PixelFormat
  ) throws {
    let (width, height) = (720, 528)
    let (newWidth, newHeight, place) = (640, 360, Rectangle(x: 74, y: 0, width: 490, height: 360))
    for source in Self.sources() {
      let soft = source.contains("lavfi") ? "boxblur=6," : ""
      let picture = try Self.picture(source, format, filters: "\(soft)scale=\(width):\(height):flags=lanczos")
      let from = try #require(FrameLayout(format, width: width, height: height, alignment: 1))
      var made = try #require(FrameLayout(format, width: newWidth, height: newHeight, alignment: 1))
      if format.isRGB { made.color = .rgb }
      let frame = try makeFrame(from)
      try frame.buffer.memory.map().copyMemory(from: picture, byteCount: picture.count)
      var target = try makeFrame(made)
      target.layout = try #require(made.part(place))
      _ = try LibYUVScaler().scale(frame, crop: nil, transform: PictureTransform(), to: &target)
      target.layout = made
      let red = PaintColor(red: 255, green: 0, blue: 0)
      let bars = [(0, 74), (564, 76)].map {
        PlacedDrawing(.cover(width: $0.1, height: 360, color: red, thickness: nil), x: $0.0, y: 0, layer: 0)
      }
      _ = try RegionPainter().prepare(bars, for: made).paint(on: target)
      let bytes = Array(UnsafeRawBufferPointer(start: try target.buffer.memory.map(), count: made.byteCount))
      let theirs = try Self.remade(
        picture, format, width, height, to: format,
        filters: "scale=490:360:flags=area+accurate_rnd,pad=640:360:74:0:red")
      let found = try Self.decibels(bytes, theirs, format, newWidth, newHeight)
      #expect(found.allSatisfy { $0 >= 40 }, "\(found) dB")
      // The bars' first bytes: one in 255 is how two programs round.
      let size = format.isRGB ? 3 : format == .yuyv ? 2 : 1
      for row in 0..<360 {
        for at in row * 640 * size..<row * 640 * size + 74 * size {
          if abs(Int(bytes[at]) - Int(theirs[at])) > 1 { Issue.record("\(row) \(at): \(bytes[at]) and \(theirs[at])") }
        }
      }
    }
  }

  /// What holds the same numbers in another order; of pictures of luma and of colours, luma alone.
  @Test func whatOnlyOrdersBytesAnewIsExact() throws {
    let (width, height) = (322, 180)
    // Red, green and blue of each pixel.
    func told(_ bytes: [UInt8], _ format: PixelFormat) -> [UInt8] {
      let size = format.is32 ? 4 : 3
      let order = format.startsWithRed ? [0, 1, 2] : [2, 1, 0]
      return stride(from: 0, to: bytes.count, by: size).flatMap { at in order.map { bytes[at + $0] } }
    }
    let rgb: [PixelFormat] = [.rgb24, .bgr24, .xrgb8888, .xbgr8888]
    for source in Self.sources() {
      for from in rgb {
        let picture = try Self.picture(source, from, filters: "scale=\(width):\(height)")
        for to in rgb where to != from {
          let made = try Self.scaled(picture, from, width, height, to: to, width, height)
          #expect(told(made, to) == told(picture, from), "\(from) to \(to)")
        }
      }
      for from: PixelFormat in [.i420, .nv12, .nv21, .yuyv, .uyvy] {
        let picture = try Self.picture(source, from, filters: "scale=\(width):\(height)")
        let made = try Self.scaled(picture, from, width, height, to: .grey, width, height)
        let theirs = try Self.remade(picture, from, width, height, to: .i420, filters: "null")
        #expect(made[...] == theirs[..<(width * height)], "\(from) to grey")
        let smaller = try Self.scaled(picture, from, width, height, to: .grey, 160, 90)
        let luma = try Self.scaled(picture, from, width, height, to: .nv12, 160, 90)
        #expect(smaller[...] == luma[..<(160 * 90)], "\(from) to grey, smaller")
        let back = try Self.scaled(made, .grey, width, height, to: .nv12, width, height)
        #expect(back[..<(width * height)] == made[...] && back[(width * height)...].allSatisfy { $0 == 128 })
      }
    }
  }

  /// What only moves samples, and what passes them on.
  @Test(arguments: [PixelFormat.nv12, .i420, .nv21])
  func whatMovesSamplesIsExact(_ format: PixelFormat) throws {
    let (width, height) = (720, 528)
    func turned(mirror: Bool = false, flip: Bool = false, rotation: Int = 0) -> PictureTransform {
      var transform = PictureTransform()
      (transform.mirror, transform.flip, transform.rotation) = (mirror, flip, rotation)
      return transform
    }
    let crop = Rectangle(x: 66, y: 34, width: 322, height: 246)
    for source in Self.sources() {
      let picture = try Self.picture(source, format, filters: "scale=\(width):\(height):flags=lanczos")
      for (transform, part, filter) in [
        (turned(), nil, "null"), (turned(mirror: true), nil, "hflip"), (turned(flip: true), nil, "vflip"),
        (turned(rotation: 180), nil, "hflip,vflip"), (turned(), crop, "crop=322:246:66:34"),
      ] {
        let (newWidth, newHeight) = part.map { ($0.width, $0.height) } ?? (width, height)
        let made = try Self.scaled(
          picture, format, width, height, crop: part, transform, to: format, newWidth, newHeight)
        let theirs = try Self.remade(picture, format, width, height, to: format, filters: filter)
        #expect(made == theirs, "\(filter)")
      }
    }
  }
}
