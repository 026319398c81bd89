// SPDX-License-Identifier: Apache-2.0
import LinuxMedia
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import Devices

@Suite(.ownThread) struct MemfdAllocatorTests {
  @Test func givesMappableMemoryOfWholePages() throws {
    let memory = try MemfdAllocator().allocate(size: 5000, label: "vi0-0")
    #expect(memory.size == 8192)
    #expect(memory.exporter == "memfd")
    #expect(!memory.isDMABuf)
    #expect(memory.kernelReferenceCount() == nil)
    #expect(memory.mapped == nil)
    let address = try memory.map()
    address.storeBytes(of: 7, toByteOffset: 8191, as: UInt8.self)
    #expect(try memory.map() == address)
    #expect(memory.mapped == address)
    try memory.beginCPUAccess(write: true)
    try memory.endCPUAccess(write: true)
  }

  @Test(arguments: [0, -1, Int.max]) func refusesSizesThatMakeNoSense(size: Int) {
    let failure = #expect(throws: Failure.self) { _ = try MemfdAllocator().allocate(size: size, label: "vi0-0") }
    #expect(failure?.errno == .invalidArgument)
    #expect(failure?.subject == "vi0-0")
  }

  @Test func saysWhichBufferThereWasNoMemoryFor() {
    let faults = FaultInjector()
    faults.fail(.truncate, with: .noMemory)
    let failure = #expect(throws: Failure.self) {
      _ = try MemfdAllocator(kernel: faults).allocate(size: 4096, label: "vi0-3")
    }
    #expect(failure?.errno == .noMemory)
    #expect(failure?.subject == "vi0-3")
  }

  @Test func aPoolOfItHandsOutEveryBufferOnceAndTakesItBack() throws {
    let pool = try Pool(name: "vi0", size: 4096, count: 2, allocator: MemfdAllocator())
    #expect(pool.memoryKind == "memfd")
    do {
      guard let a = pool.take(as: .anonymous), let b = pool.take(as: .anonymous) else {
        Issue.record("a new pool of two gave fewer than two")
        return
      }
      let (first, second) = (a.buffer.memory.fileDescriptor, b.buffer.memory.fileDescriptor)
      #expect(first != second)
      #expect(pool.free == 0)
    }
    #expect(pool.free == 2)
  }
}

@Suite(.ownThread) struct AllocatorPolicyTests {
  private struct Fake: Allocator {
    let name: String
    let errno: Errno?
    func allocate(size: Int, label: String) throws(Failure) -> any Memory {
      if let errno { throw Failure(errno, "open", on: name) }
      return try MemfdAllocator().allocate(size: size, label: label)
    }
  }

  @Test func takesTheFirstThatReallyAllocatesAndSaysWhyTheOthersDidNot() {
    let policy = AllocatorPolicy(
      choosingFrom: [
        Fake(name: "heap:cma", errno: .permissionDenied), Fake(name: "heap:system", errno: nil),
        Fake(name: "udmabuf", errno: nil),
      ], last: Fake(name: "memfd", errno: nil), noHeaps: false)
    #expect(policy.allocator.name == "heap:system")
    #expect(policy.reason == "heap:system (heap:cma: Permission denied)")
  }

  @Test func fallsBackToTheLastWhenNothingElseWorks() {
    let policy = AllocatorPolicy(
      choosingFrom: [Fake(name: "udmabuf", errno: .noSuchFileOrDirectory)], last: Fake(name: "memfd", errno: nil),
      noHeaps: true)
    #expect(policy.allocator.name == "memfd")
    #expect(policy.reason == "memfd (no dma-heap; udmabuf: No such file or directory)")
  }

  @Test func contiguousMemoryIsTakenOnlyWhenAskedFor() {
    let heaps = ["cma-uncached", "linux,cma", "system", "system-uncached"]
    #expect(AllocatorPolicy.ranked(heaps, contiguous: false) == ["system"])
    #expect(AllocatorPolicy.ranked(heaps, contiguous: true) == ["linux,cma", "system"])
    #expect(
      AllocatorPolicy.ranked(["default_cma_region", "reserved"], contiguous: true) == [
        "default_cma_region", "reserved",
      ])
  }

  @Test func thisMachinesChoiceGivesMemory() throws {
    let policy = AllocatorPolicy()
    print("memory of this machine: \(policy.reason)")
    let memory = try policy.allocator.allocate(size: 4096, label: "probe")
    try memory.map().storeBytes(of: 1, as: UInt8.self)
    #expect(memory.isDMABuf == (policy.allocator.name != "memfd"))
  }
}
