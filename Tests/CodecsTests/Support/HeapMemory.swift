// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import Testing

@testable import Codecs

/// Plain memory in place of a DMA-BUF.
final class HeapMemory: Memory, @unchecked Sendable {
  let fileDescriptor: CInt = -1
  let size: Int
  let inode: UInt64 = 0
  let exporter = "heap"
  let isDMABuf = false
  private let bytes: UnsafeMutableRawPointer

  init(size: Int) {
    self.size = size
    bytes = .allocate(byteCount: size, alignment: 4096)
    bytes.initializeMemory(as: UInt8.self, repeating: 0, count: size)
  }
  deinit { bytes.deallocate() }

  func kernelReferenceCount() -> Int? { nil }
  func map() throws(Failure) -> UnsafeMutableRawPointer { bytes }
  var mapped: UnsafeMutableRawPointer? { bytes }
  func beginCPUAccess(write: Bool) throws(Failure) {}
  func endCPUAccess(write: Bool) throws(Failure) {}
}

struct HeapAllocator: Allocator {
  let name = "heap"
  func allocate(size: Int, label: String) throws(Failure) -> any Memory { HeapMemory(size: size) }
}

/// A frame in a buffer of its own.
func makeFrame(_ layout: FrameLayout, pts: Int64 = 0) throws -> Frame {
  let pool = try Pool(name: "test", size: layout.byteCount, count: 1, allocator: HeapAllocator())
  let ref = try pool.take(as: .anonymous).unwrapped()
  return Frame(ref, layout: layout, pts: pts, sequence: 0, stamps: FrameStamps())
}

func makeFrame(_ format: PixelFormat, _ width: Int, _ height: Int) throws -> Frame {
  try makeFrame(try #require(FrameLayout(format, width: width, height: height)))
}

func request(
  _ format: PixelFormat = .i420, _ width: Int = 640, _ height: Int = 360, fps: Int = 30, buffers: Int = 3
) throws -> SourceRequest {
  SourceRequest(
    width: width, height: height, format: format, frameRate: try #require(FrameRate(fps)), allocator: HeapAllocator(),
    user: .anonymous, poolName: "test", bufferCount: buffers)
}

/// Keeps each picture an encoder makes.
struct PictureList: PacketSink {
  var pictures: [[UInt8]] = []
  var times: [Int64] = []
  private var current: [UInt8] = []
  mutating func append(_ bytes: UnsafeRawBufferPointer) { current += bytes }
  mutating func finishPicture(pts: Int64) {
    pictures.append(current)
    times.append(pts)
    current = []
  }
  var stream: Data { Data(pictures.joined()) }
  func bits(_ range: Range<Int>) -> Int { pictures[range].reduce(0) { $0 + $1.count * 8 } }
}

extension Optional where Wrapped: ~Copyable {
  /// What `#require` does, for values that cannot be copied.
  consuming func unwrapped() throws -> Wrapped {
    switch consume self {
    case .some(let value): return value
    case .none: throw MissingValue()
    }
  }
}

struct MissingValue: Error {}
