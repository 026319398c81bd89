// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// Drawings beside those of another program: FFmpeg's filters on the same picture.
@Suite(.ownThread) struct PaintingToolTests {
  /// The picture's bytes without gaps, and with FFmpeg's filters applied.
  private static func filtered(
    _ picture: [UInt8], _ filters: String, _ inputs: [String] = [], size: (Int, Int) = (96, 64)
  ) throws -> [UInt8] {
    let told = try Tool.run(
      "ffmpeg",
      ["-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "\(size.0)x\(size.1)", "-i", "pipe:0"] + inputs
        + ["-filter_complex", filters, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1"],
      input: Data(picture))
    try #require(told.output.count == picture.count, "\(told.errors)")
    return [UInt8](told.output)
  }

  /// 96x64: no line has a gap.
  private static func drawn(_ drawing: Drawing, x: Int, y: Int) throws -> (before: [UInt8], after: [UInt8]) {
    let layout = try #require(FrameLayout(.i420, width: 96, height: 64))
    let frame = try PaintPicture.noise(layout)
    let before = try PaintPicture.memory(frame)
    let after = try PaintingTests.painted([PlacedDrawing(drawing, x: x, y: y, layer: 0)], frame)
    return (before, after)
  }

  private static func distances(_ a: [UInt8], _ b: [UInt8]) -> (most: Int, mean: Double) {
    let all = zip(a, b).map { abs(Int($0) - Int($1)) }
    return (all.max() ?? .max, Double(all.reduce(0, +)) / Double(max(1, all.count)))
  }

  @Test func anOverlayIsFFmpegs() throws {
    // Of one colour and of even alpha in each sample of colour: there the two ways to weight it are the same.
    var bytes: [UInt8] = []
    for y in 0..<40 { for x in 0..<60 { bytes += [40, 130, 230, UInt8(x / 2 * 5 + y / 2 * 5)] } }
    let canvas = try #require(CanvasPixels(width: 60, height: 40, bytes: bytes))
    let file = FileManager.default.temporaryDirectory.appending(path: "mpifs-overlay-\(UUID().uuidString)")
    try Data(bytes).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    for (x, y) in [(10, 8), (-20, -6), (70, 50)] {
      let (before, after) = try Self.drawn(.canvas(canvas, alpha: 255), x: x, y: y)
      let told = try Self.filtered(
        // Left to itself it makes the whole picture RGB and back.
        before, "[0][1]overlay=x=\(x):y=\(y):format=yuv420",
        ["-f", "rawvideo", "-pix_fmt", "bgra", "-s", "60x40", "-i", file.path])
      let (most, mean) = Self.distances(after, told)
      #expect(most <= 2 && mean < 0.3, "\(x),\(y): \(most), \(mean)")
      #expect(Self.distances(after, before).mean > 0.4)
    }
  }

  @Test func boxesAreFFmpegs() throws {
    for (x, y, width, height) in [(10, 8, 40, 20), (11, 9, 41, 21), (60, 40, 100, 100)] {
      for thickness in [nil, 1, 3, 6] {
        let color = PaintColor(red: 230, green: 130, blue: 40)
        let cover = Drawing.cover(width: width, height: height, color: color, thickness: thickness)
        let (before, after) = try Self.drawn(cover, x: x, y: y)
        let told = try Self.filtered(
          before,
          "drawbox=x=\(x):y=\(y):w=\(width):h=\(height):color=0xe68228:t=\(thickness.map { "\($0)" } ?? "fill")")
        let (most, _) = Self.distances(after, told)
        #expect(most <= 1, "\(x),\(y) \(width)x\(height), \(thickness ?? 0) thick: \(most)")
        #expect(Self.distances(after, before).mean > 0.4)
      }
    }
  }

  @Test func mosaicsAreFFmpegs() throws {
    for block in [8, 16, 32] {
      let (before, after) = try Self.drawn(.mosaic(width: 96, height: 64, block: block), x: 0, y: 0)
      let told = try Self.filtered(before, "pixelize=w=\(block):h=\(block):mode=avg")
      // Means are rounded here and cut there.
      #expect(Self.distances(after, told).most <= 1, "\(block)")
      #expect(Self.distances(after, before).mean > 10)
    }
  }
}
