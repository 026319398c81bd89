// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
import TestSupport

@testable import Devices

/// Memory that says it is a DMA-BUF, for drivers that take any descriptor.
final class PretendedDMABuf: Memory, @unchecked Sendable {
  private let inner: any Memory
  init(_ inner: any Memory) { self.inner = inner }
  var fileDescriptor: Int32 { inner.fileDescriptor }
  var size: Int { inner.size }
  var inode: UInt64 { inner.inode }
  var exporter: String { inner.exporter }
  var isDMABuf: Bool { true }
  func kernelReferenceCount() -> Int? { nil }
  func map() throws(Failure) -> UnsafeMutableRawPointer { try inner.map() }
  var mapped: UnsafeMutableRawPointer? { inner.mapped }
  func beginCPUAccess(write: Bool) throws(Failure) { try inner.beginCPUAccess(write: write) }
  func endCPUAccess(write: Bool) throws(Failure) { try inner.endCPUAccess(write: write) }
}

struct PretendingAllocator: Allocator {
  var isDMABuf: Bool
  var name: String { "pretended" }
  func allocate(size: Int, label: String) throws(Failure) -> any Memory {
    let memory = try MemfdAllocator().allocate(size: size, label: label)
    return isDMABuf ? PretendedDMABuf(memory) : memory
  }
}

/// Frames of one layout.
struct TestFrames {
  let layout: FrameLayout
  let pool: Pool

  init(_ format: PixelFormat, _ width: Int, _ height: Int, dmabuf: Bool = false, count: Int = 2) throws {
    guard let layout = FrameLayout(format, width: width, height: height) else {
      throw Failure(.invalidArgument, "layout", on: "test")
    }
    self.layout = layout
    pool = try Pool(
      name: "test", size: layout.byteCount, count: count, allocator: PretendingAllocator(isDMABuf: dmabuf))
  }

  func frame(pts: Int64 = 0) throws -> Frame {
    guard let ref = pool.take(as: .anonymous) else { throw Failure(.noMemory, "take", on: "test") }
    return Frame(ref, layout: layout, pts: pts, sequence: 0, stamps: FrameStamps())
  }
}

/// Collects pictures as a channel's ring does.
struct PictureList: PacketSink, ~Copyable {
  var pictures: [(pts: Int64, bytes: [UInt8])] = []
  private var current: [UInt8] = []
  mutating func append(_ bytes: UnsafeRawBufferPointer) { current += bytes }
  mutating func finishPicture(pts: Int64) {
    pictures.append((pts, current))
    current = []
  }
}

/// Waits until no instance of the device is being closed any more.
func comesBack(_ path: String) -> Bool {
  eventually { !HangingDevices.contains(path) }
}
