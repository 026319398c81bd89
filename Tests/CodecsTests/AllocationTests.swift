// SPDX-License-Identifier: Apache-2.0
import CAllocationCount
import CTurboJPEG
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// Takes pictures and keeps nothing.
private struct CountingSink: PacketSink {
  var bits = 0
  var pictures = 0
  var parser: PictureParser
  private var storage: UnsafeMutableRawBufferPointer = .allocate(byteCount: 1 << 20, alignment: 16)
  private var used = 0

  init(_ codec: Codec) { parser = PictureParser(codec) }

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    UnsafeMutableRawBufferPointer(rebasing: storage[used...]).copyMemory(from: bytes)
    used += bytes.count
  }

  mutating func finishPicture(pts: Int64) {
    bits += parser.parse(UnsafeRawBufferPointer(rebasing: storage[..<used])).bits
    used = 0
    pictures += 1
  }

  func close() { storage.deallocate() }
}

/// A steady state takes nothing from the heap. Every call of the calling thread is counted, the libraries' own too.
@Suite(.ownThread) struct AllocationTests {
  /// Allocations of 20 rounds, after 30 to warm up.
  private static func allocations(_ round: () throws -> Void) rethrows -> UInt64 {
    for _ in 0..<30 { try round() }
    return try fewestAllocations(by: allocation_count, in: 20, round)
  }

  @Test func theCounterCounts() {
    var kept: [[UInt8]] = []
    kept.reserveCapacity(90)
    #expect(Self.allocations { kept.append([UInt8](repeating: 1, count: 100)) } >= 20)
  }

  @Test(arguments: [PixelFormat.i420, .nv12]) func thePatternAllocatesNothing(_ format: PixelFormat) throws {
    let source = try PatternSource(try request(format, 640, 360))
    let count = try Self.allocations { _ = try source.next().unwrapped() }
    #expect(count == 0)
  }

  @Test(arguments: PixelConverter.formats) func theScalerAllocatesNothingOfItsOwn(_ to: PixelFormat) throws {
    let scaler = LibYUVScaler()
    for from in PixelConverter.inputs {
      let source = try makeFrame(from, 160, 90)
      for rotation in [0, 90] {
        var transform = PictureTransform()
        transform.rotation = rotation
        let turned = rotation == 90
        for (width, height) in [turned ? (90, 160) : (160, 90), (100, 50)] {
          var target = try makeFrame(to, width, height)
          let count = try Self.allocations {
            _ = try scaler.scale(source, crop: nil, transform: transform, to: &target)
          }
          // libyuv's own: a line buffer to read packed formats.
          let packed: UInt64 = from == .rgb24 || from == .bgr24 || from != .p010 && to == .nv12 && !from.is420 ? 1 : 0
          #expect(count <= 20 * packed, "\(from) to \(to) \(width)x\(height) \(rotation)")
        }
      }
    }
  }

  @Test(arguments: [PixelFormat.nv12, .i420, .yuyv, .xrgb8888]) func paintingAllocatesNothing(
    _ format: PixelFormat
  ) throws {
    let layout = try PaintPicture.layout(format, 320, 180)
    let frame = try PaintPicture.noise(layout)
    let canvas = try PaintPicture.canvas(200, 40)
    let point = PicturePoint(x: 9, y: 9)
    let prepared = try RegionPainter().prepare(
      [
        PlacedDrawing(.canvas(canvas, alpha: 200), x: 5, y: 5, layer: 0),
        PlacedDrawing(.mosaic(width: 100, height: 70, block: 16), x: 40, y: 40, layer: 1),
        PlacedDrawing(.cover(width: 40, height: 40, color: PaintingTests.red, thickness: 3), x: 60, y: 60, layer: 2),
        PlacedDrawing(
          .line(from: point, to: PicturePoint(x: 200, y: 90), color: PaintingTests.red, thickness: 3), x: 0, y: 0,
          layer: 3),
        PlacedDrawing(.canvas(canvas, alpha: 255), x: 50, y: 90, layer: 4),
      ], for: layout)
    let count = try Self.allocations { _ = try prepared.paint(on: frame) }
    #expect(count == 0)
  }

  @Test(arguments: H264EncoderTests.names) func anEncoderAndTheParserAllocateNothing(_ name: String) throws {
    let factory = try #require(h264Factories.first { $0.name == name })
    let encoder = try factory.open(try h264(gop: 10))
    let source = try PatternSource(try request())
    var sink = CountingSink(.h264)
    defer { sink.close() }
    let count = try Self.allocations {
      let frame = try source.next().unwrapped()
      try encoder.submit(frame, EncodeDirective(), into: &sink)
    }
    #expect(sink.pictures == 90)
    #expect(count == 0)
  }

  @Test func motionJPEGAllocatesWhatTheLibraryDoesAndNoMore() throws {
    let encoder = try TurboJPEGFactory().open(try JPEGTests.configuration(640, 360, quality: 75))
    let source = try PatternSource(try request(.nv12))
    var sink = CountingSink(.mjpeg)
    defer { sink.close() }
    let ours = try Self.allocations {
      let frame = try source.next().unwrapped()
      try encoder.submit(frame, EncodeDirective(), into: &sink)
    }
    #expect(sink.pictures == 90)
    // The library alone, on planes that lie ready.
    let handle = tjInitCompress()
    defer { tjDestroy(handle) }
    let planes = (0..<3).map { _ in UnsafeMutablePointer<UInt8>.allocate(capacity: 640 * 360) }
    let output = UnsafeMutablePointer<UInt8>.allocate(capacity: 1 << 20)
    defer {
      for plane in planes { plane.deallocate() }
      output.deallocate()
    }
    for plane in planes { plane.initialize(repeating: 77, count: 640 * 360) }
    var bases: [UnsafePointer<UInt8>?] = planes.map { UnsafePointer($0) }
    var strides: [CInt] = [640, 320, 320]
    var failures: CInt = 0
    let theirs = Self.allocations {
      var result: UnsafeMutablePointer<UInt8>? = output
      var size: UInt = 1 << 20
      failures += tjCompressFromYUVPlanes(
        handle, &bases, 640, &strides, 360, CInt(TJSAMP_420.rawValue), &result, &size, 75, CInt(TJFLAG_NOREALLOC))
    }
    #expect(failures == 0)
    #expect(ours <= theirs)
  }
}
