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
    .xrgb8888: "bgr0", .argb8888: "bgra", .rgb24: "rgb24",
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
