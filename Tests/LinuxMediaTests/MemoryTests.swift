// SPDX-License-Identifier: Apache-2.0
import CLinux
import Foundation
import LinuxMedia
import SystemPackage
import TestSupport
import Testing

@Suite(.ownThread) struct MemfdTests {
  @Test func hasTheAskedSizeAndCannotShrink() throws {
    let memory = try Memfd.create(name: "test", size: 12288)
    #expect(try DMABuf.size(memory.raw, subject: "test") == 12288)
    #expect(ftruncate(memory.raw, 4096) == -1)
    #expect(errno == EPERM)
    #expect(try DMABuf.inode(memory.raw, subject: "test") > 0)
  }

  @Test func closesItsDescriptorWhenAStepFails() {
    for step in [KernelCall.truncate, .addSeals] {
      let faults = FaultInjector()
      faults.fail(step, with: .noMemory)
      #expect(throws: KernelError.self) { _ = try Memfd.create(name: "leak-\(step)", size: 4096, kernel: faults).raw }
      #expect(faults.pending == 0)
      // Whoever still held it would show under its own name.
      let held = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
      let names = held.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)") }
      #expect(!held.isEmpty)
      #expect(!names.contains { $0.contains("leak-\(step)") })
    }
  }

  @Test func mappingsOfOneMemfdShareTheirBytes() throws {
    let memory = try Memfd.create(name: "test", size: 4096)
    let a = try Mapping(memory.raw, size: 4096, subject: "test")
    let b = try Mapping(memory.raw, size: 4096, writable: false, subject: "test")
    a.address.storeBytes(of: 0x5a, toByteOffset: 4095, as: UInt8.self)
    #expect(b.address.load(fromByteOffset: 4095, as: UInt8.self) == 0x5a)
  }
}

@Suite(.ownThread) struct KernelDoorTests {
  @Test func aCallThatASignalInterruptedIsMadeAgain() throws {
    let faults = FaultInjector()
    faults.fail(.truncate, with: .interrupted, times: 3)
    let memory = try Memfd.create(name: "test", size: 4096, kernel: faults)
    #expect(try DMABuf.size(memory.raw, subject: "test") == 4096)
    #expect(faults.count(of: .truncate) == 4)
  }

  @Test func anErrorSaysWhatWasTriedOnWhat() {
    let error = #expect(throws: KernelError.self) { _ = try Descriptor(opening: "/dev/not-there", O_RDONLY).raw }
    #expect(error == KernelError(.noSuchFileOrDirectory, "open", on: "/dev/not-there"))
    #expect(error?.description == "open /dev/not-there: No such file or directory")
  }

  @Test func aCountedFaultHitsExactlyTheCallsItWasPlantedOn() throws {
    let faults = FaultInjector()
    faults.fail(.memfd, with: .permissionDenied, times: 2, after: 1)
    var results: [Errno?] = []
    for _ in 0..<4 {
      do throws(KernelError) {
        _ = try Memfd.create(name: "test", size: 4096, kernel: faults).raw
        results.append(nil)
      } catch {
        results.append(error.errno)
      }
    }
    #expect(results == [nil, .permissionDenied, .permissionDenied, nil])
  }

  @Test func aReleasedDescriptorStaysOpen() throws {
    let memory = try Memfd.create(name: "test", size: 4096)
    let fd = memory.release()
    #expect(fcntl(fd, F_GETFD) >= 0)
    #expect(close(fd) == 0)
  }

  @Test func aWakeUpIsSeenOnceUntilItIsCleared() throws {
    let wake = try WakeUp()
    wake.signal()
    wake.signal()
    var entry = pollfd(fd: wake.raw, events: Int16(POLLIN), revents: 0)
    #expect(poll(&entry, 1, 0) == 1)
    wake.clear()
    #expect(poll(&entry, 1, 0) == 0)
  }
}

@Suite(.ownThread) struct DescriptorInfoTests {
  // The kernel's own documentation sample, and what a 6.12 kernel adds to it.
  @Test func readsTheKernelsLayout() {
    let info = DescriptorInfo(
      parsing: "pos:\t0\nflags:\t04002\nmnt_id:\t9\nino:\t63107\nsize:\t32768\ncount:\t2\nexp_name:\tsystem-heap\n")
    #expect(info.flags == 0o4002)
    #expect(info.inode == 63107)
    #expect(info.size == 32768)
    #expect(info.count == 2)
    #expect(info.exporter == "system-heap")
    #expect(info.name == nil)
    #expect(info.isDMABuf)
  }

  @Test func aNameMayHoldColonsAndBlanks() {
    let info = DescriptorInfo(parsing: "size:\t4096\ncount:\t1\nexp_name:\tudmabuf\nname:\tvi 0: main\n")
    #expect(info.name == "vi 0: main")
  }

  @Test func anOrdinaryFileIsNoDMABuf() throws {
    let file = try Descriptor(opening: "/proc/self/exe", O_RDONLY)
    let info = try DescriptorInfo(of: file.raw)
    #expect(!info.isDMABuf)
    #expect(info.size == nil)
  }
}

@Suite(.ownThread) struct HeapDoorTests {
  @Test func namesAreCutToWhatTheKernelTakes() throws {
    let recorder = IoctlRecorder()
    try DMABuf.setName(7, String(repeating: "n", count: 40), kernel: recorder)
    #expect(recorder.requests == [mpifs_DMA_BUF_SET_NAME_B])
    #expect(recorder.strings == [String(repeating: "n", count: 31)])
  }

  @Test func syncSaysReadOrWriteAndStartOrEnd() throws {
    let recorder = IoctlRecorder()
    try DMABuf.begin(.read, 7, subject: "b", kernel: recorder)
    try DMABuf.end(.write, 7, subject: "b", kernel: recorder)
    #expect(recorder.requests == [mpifs_DMA_BUF_IOCTL_SYNC, mpifs_DMA_BUF_IOCTL_SYNC])
    #expect(recorder.words == [1, 7])  // READ; READ|WRITE|END
  }

  // dmabuf-and-mpp-service.md §5.8 gives the numbers for 64-bit; udmabuf's and the heaps' are the same everywhere.
  @Test func ioctlNumbersAreTheKernels() {
    #expect(mpifs_DMA_BUF_IOCTL_SYNC == 0x4008_6200)
    #expect(mpifs_DMA_BUF_SET_NAME_B == 0x4008_6201)
    #expect(mpifs_DMA_HEAP_IOCTL_ALLOC == 0xc018_4800)
    #expect(mpifs_UDMABUF_CREATE == 0x4018_7542)
    #expect(mpifs_VIDIOC_QUERYCAP == 0x8068_5600)
  }
}
