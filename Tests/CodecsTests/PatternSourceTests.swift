// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

@Suite(.ownThread) struct PatternSourceTests {
  /// Luma of a frame as bytes of its own.
  static func luma(_ frame: borrowing Frame) throws -> [UInt8] {
    let pixels = try frame.beginPixels(write: false)
    var bytes: [UInt8] = []
    for row in 0..<pixels.height {
      bytes += UnsafeBufferPointer(start: pixels.plane0.at(row: row, column: 0).base, count: pixels.width)
    }
    try frame.endPixels(write: false)
    return bytes
  }

  static func number(_ frame: borrowing Frame) throws -> UInt32? {
    let bytes = try luma(frame)
    return bytes.withUnsafeBytes {
      PatternCode.read(
        luma: $0, stride: Int(frame.layout.width), width: Int(frame.layout.width), height: Int(frame.layout.height))
    }
  }

  @Test(arguments: [PixelFormat.i420, .nv12], [(32, 32), (80, 60), (322, 242), (640, 360), (1920, 1080)])
  func framesAreNumberedTimedAndAllDifferent(_ format: PixelFormat, _ size: (Int, Int)) throws {
    var request = try request(format, size.0, size.1)
    request.frameRate = try #require(FrameRate(30000, 1001))
    let source = try PatternSource(request)
    var last: [UInt8] = []
    for index in 0..<8 {
      let frame = try source.next().unwrapped()
      #expect(frame.sequence == UInt64(index))
      #expect(frame.pts == Int64(index) * 1001 * 1_000_000 / 30000)
      if size.0 >= 80 {
        let number = try Self.number(frame)
        #expect(number == UInt32(index))
      }
      let luma = try Self.luma(frame)
      #expect(luma != last)
      last = luma
    }
    #expect(source.counters.bytesCopied == UInt64(8 * PlaneExtent.byteCount(format, width: size.0, height: size.1)))
  }

  @Test func theBackgroundMovesAsAWholeSoThatAnEncoderHasMotionToFind() throws {
    let source = try PatternSource(try request(.i420, 640, 360))
    let first = try Self.luma(try source.next().unwrapped())
    let second = try Self.luma(try source.next().unwrapped())
    // A patch away from the text, the box and the code: four columns and two lines a frame.
    for row in 200..<240 {
      for column in 400..<500 { #expect(second[row * 640 + column] == first[(row + 2) * 640 + column + 4]) }
    }
  }

  @Test func nextWaitsForABufferToComeHome() throws {
    let source = try PatternSource(try request(buffers: 2))
    var a: Frame? = try source.next().unwrapped()
    let b = try source.next().unwrapped()
    #expect(source.pool?.free == 0)
    let reader = Background { () throws -> UInt64 in
      let frame = try source.next().unwrapped()
      return frame.sequence
    }
    // The reader has asked in vain when the low-water mark says so.
    try #require(eventually { (source.pool as? Pool)?.waits ?? 0 > 0 })
    a = nil
    let gone =
      switch a {
      case .none: true
      case .some: false
      }
    #expect(gone)
    #expect(try reader.value == 2)
    #expect(b.sequence == 1)
  }

  @Test func interruptEndsAWaitForGood() throws {
    let source = try PatternSource(try request(buffers: 2))
    let a = try source.next().unwrapped()
    let b = try source.next().unwrapped()
    let reader = Background { () throws -> Bool in
      switch try source.next() {
      case .none: return true
      case .some: return false
      }
    }
    try #require(eventually { (source.pool as? Pool)?.waits ?? 0 > 0 })
    source.interrupt()
    #expect(try reader.value)
    let again = if case .none = try source.next() { true } else { false }
    #expect(again)
    #expect(a.sequence + b.sequence == 1)
  }

  @Test func aSizeOrFormatItCannotMakeIsRefused() throws {
    for (format, width, height) in [(PixelFormat.i420, 31, 32), (.i420, 20000, 32), (.i420, 641, 360), (.yuyv, 64, 64)]
    {
      #expect(throws: Failure.self) { try PatternSource(try request(format, width, height)) }
    }
  }
}
