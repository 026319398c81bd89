// SPDX-License-Identifier: Apache-2.0
import Base
import Devices
import Foundation
import MediaCore
import Reports
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// A picture that is not given back until the test says so.
final class KeptFrame: Sendable {
  private final class Box: Sendable {
    let frame: Frame
    init(_ frame: consuming Frame) { self.frame = frame }
  }
  private let box = Mutex<Box?>(nil)
  var isThere: Bool { box.withLock { $0 != nil } }
  func keep(_ frame: consuming Frame) {
    let new = Box(frame)
    box.withLock { $0 = new }
  }
  func drop() { box.withLock { $0 = nil } }
}

/// Says of the kernel what a test wants.
private final class ScriptedInspector: MemoryInspector {
  struct Answer: Sendable {
    /// Descriptors that are left out of what there is.
    var hidden: Set<CInt> = []
    var more: [HeldDescriptor] = []
    var failure: Failure?
    /// What a buffer of ours is said to be counted, in place of a plain file.
    var counts: [UInt64: Int] = [:]
    var mappings: [UInt64: Int] = [:]
    var holders: [UInt64: [(process: Int32, name: String)]] = [:]
  }
  let answer = Mutex(Answer())

  func descriptors() throws(Failure) -> [HeldDescriptor] {
    let answer = answer.withLock { $0 }
    if let failure = answer.failure { throw failure }
    // Memory of devices is that of other tests, which run in this process too.
    return try ProcInspector().descriptors().filter { $0.buffer == nil && !answer.hidden.contains($0.descriptor) }
      + answer.more
  }
  func mappings(of inodes: Set<UInt64>) -> [UInt64: Int] { answer.withLock { $0.mappings } }
  func holders(of inodes: Set<UInt64>) -> (found: [UInt64: [(process: Int32, name: String)]], unreadable: Int) {
    (answer.withLock { $0.holders }, 2)
  }
}

@Suite(.ownThread) struct MemoryCheckTests {
  @Test func whatIsInOrderIsFoundInOrder() throws {
    let inspector = ScriptedInspector()
    let studio = try MemoryStudio(inspector: inspector)
    defer { studio.end() }
    #expect(studio.load(MemoryStudio.pipeline) == nil)
    let report = studio.graph.checkMemory()
    #expect(report.failure == nil && report.buffers == 13)
    #expect(report.withoutDescriptor.isEmpty && report.withoutBuffer.isEmpty && report.heldElsewhere.isEmpty)
    #expect(studio.graph.lastMemoryCheck() == report)
  }

  @Test func aBufferWhoseDescriptorIsGoneIsNamed() throws {
    let inspector = ScriptedInspector()
    let studio = try MemoryStudio(inspector: inspector)
    defer { studio.end() }
    #expect(studio.load(MemoryStudio.pipeline) == nil)
    let pool = try #require(studio.graph.environment.pools.entries.first?.pool)
    let buffer = try #require(pool.buffers.dropFirst(2).first)
    inspector.answer.withLock { $0.hidden = [buffer.memory.fileDescriptor] }
    let report = studio.graph.checkMemory()
    #expect(report.withoutDescriptor.map(\.name) == ["vi0-2"])
    #expect(report.withoutDescriptor.first?.buffer == Int(buffer.id))
    #expect(report.withoutDescriptor.first?.size == 348_160)
  }

  @Test func aDescriptorInNoTableIsNamed() throws {
    let inspector = ScriptedInspector()
    let studio = try MemoryStudio(inspector: inspector)
    defer { studio.end() }
    inspector.answer.withLock {
      $0.more = [
        HeldDescriptor(descriptor: 9999, inode: 77, buffer: .init(size: 8192, count: 1, name: "lost\nin space"))
      ]
    }
    let report = studio.graph.checkMemory()
    #expect(report.descriptors == 1 && report.withoutBuffer.count == 1)
    #expect(report.withoutBuffer.first?.descriptor == 9999 && report.withoutBuffer.first?.size == 8192)
  }

  @Test func whoElseHoldsABufferIsNamed() throws {
    let inspector = ScriptedInspector()
    let memory = SharedMemory(inode: 1 << 40)
    let studio = try MemoryStudio(inspector: inspector)
    defer { studio.end() }
    let pool = LentPool([memory])
    try studio.graph.environment.pools.add(
      pool, creator: PoolRegistry.Creator(path: "vi/9", generation: 1), user: .anonymous, isLent: true)
    func look(count: Int, mapped: Int) -> MemoryCheckReport {
      inspector.answer.withLock {
        $0.more = [
          HeldDescriptor(
            descriptor: 9999, inode: memory.inode, buffer: .init(size: 4096, count: count, name: "a"))
        ]
        $0.mappings = [memory.inode: mapped]
        $0.holders = [memory.inode: [(4711, "gst-launch-1.0")]]
      }
      return studio.graph.checkMemory()
    }
    #expect(look(count: 2, mapped: 1).heldElsewhere.isEmpty)
    let report = look(count: 3, mapped: 1)
    let finding = try #require(report.heldElsewhere.first)
    #expect(report.heldElsewhere.count == 1 && report.unreadableProcesses == 2)
    #expect(finding.kernelCount == 3 && finding.ownCount == 2 && finding.name == "lent-0")
    #expect(finding.holders == [MemoryCheckReport.Holder(process: 4711, name: "gst-launch-1.0")])
  }

  @Test func aKernelThatDoesNotTellIsSaid() throws {
    let inspector = ScriptedInspector()
    let studio = try MemoryStudio(inspector: inspector)
    defer { studio.end() }
    inspector.answer.withLock { $0.failure = Failure(.noSuchFileOrDirectory, "readdir", on: "/proc/self/fd") }
    #expect(studio.graph.checkMemory().failure == "readdir /proc/self/fd: No such file or directory")
    let blind = try MemoryStudio()
    defer { blind.end() }
    #expect(blind.graph.checkMemory().failure == "this build cannot look")
  }
}

/// A DMA-BUF by name only.
private final class SharedMemory: Memory {
  let fileDescriptor: CInt = 9999
  let size = 4096
  let inode: UInt64
  let exporter = "system"
  let isDMABuf = true
  init(inode: UInt64) { self.inode = inode }
  func kernelReferenceCount() -> Int? { nil }
  func map() throws(Failure) -> UnsafeMutableRawPointer { throw Failure(.notSupported, "map", on: "shared") }
  var mapped: UnsafeMutableRawPointer? { nil }
  func beginCPUAccess(write: Bool) throws(Failure) {}
  func endCPUAccess(write: Bool) throws(Failure) {}
}

private final class LentPool: BufferPool, BufferOwner {
  let id = PoolID.next()
  let name = "lent"
  let bufferSize = 4096
  let memoryKind = "v4l2:mmap"
  private let made = Mutex<[Buffer]>([])
  var buffers: [Buffer] { made.withLock { $0 } }
  let free = 0
  let lowWater = 0
  init(_ memories: [any Memory]) {
    made.withLock { all in
      all = memories.enumerated().map { Buffer(memory: $1, size: $1.size, index: $0, owner: self) }
    }
  }
  func recycle(_ buffer: Buffer) {}
}
