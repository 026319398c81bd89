// SPDX-License-Identifier: Apache-2.0
import Dispatch
import LinuxMedia
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import Devices

@Suite(.ownThread(limit: .seconds(900))) struct CaptureSourceTests {
  private func request(_ format: PixelFormat = .nv12, memory: String = "auto") -> SourceRequest {
    SourceRequest(
      width: 640, height: 360, format: format, frameRate: .thirty, allocator: MemfdAllocator(), user: .anonymous,
      poolName: "vi0", bufferCount: 3, memory: memory)
  }

  private func take(_ count: Int, from source: any Source) throws -> [UInt64] {
    var numbers: [UInt64] = []
    for _ in 0..<count {
      guard let frame = try source.next() else { break }
      numbers.append(frame.sequence)
    }
    return numbers
  }

  @Test(arguments: [false, true]) func deliversWhatItSays(multiplanar: Bool) throws {
    let camera = FakeCamera(multiplanar: multiplanar)
    let source = try V4L2CaptureSource("/dev/video0", request(), kernel: camera)
    #expect(source.layout == FrameLayout(.nv12, width: 640, height: 360))
    #expect(source.frameRate.description == "25")
    #expect(source.remarks == ["fps 30 asked, the device gives 25"])
    #expect(source.memoryKind == "mmap")
    #expect(source.pool?.buffers.count == 6)
    #expect(try take(20, from: source) == Array(0..<20))
    #expect(source.pool?.free == 6)
    #expect(source.counters.droppedByDevice == 0)
  }

  @Test func gapsAreTheDevicesUnlessTheGraphHeldTheBuffers() throws {
    let camera = FakeCamera()
    let source = try V4L2CaptureSource("/dev/video0", request(), kernel: camera)
    _ = try take(2, from: source)
    camera.with { $0.skip = 3 }
    _ = try take(1, from: source)
    #expect(source.counters.droppedByDevice == 3)
    do {
      // Six buffers: with all of them held the driver has nothing to write into.
      guard let a = try source.next(), let b = try source.next(), let c = try source.next(),
        let d = try source.next(), let e = try source.next(), let f = try source.next()
      else {
        Issue.record("fewer frames than buffers")
        return
      }
      #expect(source.pool?.free == 0)
      let last = [a.sequence, b.sequence, c.sequence, d.sequence, e.sequence, f.sequence].max()
      #expect(last == 11)
      camera.with { $0.skip = 2 }
    }
    _ = try take(1, from: source)
    #expect(source.counters.droppedByDevice == 3)
    #expect(source.counters.droppedNoBuffer == 2)
    #expect(source.pool?.lowWater == -1)
  }

  @Test func damagedPicturesAreCountedAndGoStraightBack() throws {
    let camera = FakeCamera()
    let source = try V4L2CaptureSource("/dev/video0", request(), kernel: camera)
    camera.with { $0.nextFlags = BufferFlags.error.rawValue }
    #expect(try take(3, from: source) == [1, 2, 3])
    #expect(source.counters.damaged == 1)
    #expect(source.counters.droppedByDevice == 0)
    #expect(source.pool?.free == 6)
  }

  @Test func aBrokenStreamIsStartedAnewAndNumbersGoOn() throws {
    let camera = FakeCamera()
    let source = try V4L2CaptureSource("/dev/video0", request(), kernel: camera)
    let before = try take(3, from: source)
    camera.with {
      $0.isBroken = true
      $0.sequence = 0
    }
    let after = try take(3, from: source)
    #expect(before + after == [0, 1, 2, 3, 4, 5])
    #expect(source.counters.restarts == 1)
    #expect(source.counters.outages == 0)
    #expect(source.pool?.free == 6)
  }

  @Test func restartsThatTheDriverRefusesAreTriedAgain() throws {
    let faults = FaultInjector(wrapping: FakeCamera())
    let source = try V4L2CaptureSource("/dev/video0", request(), kernel: faults)
    _ = try take(1, from: source)
    faults.fail(.ioctl(0xc058_5611), with: .ioError)  // VIDIOC_DQBUF
    faults.fail(.ioctl(0x4004_5612), with: .invalidArgument, times: 3)  // VIDIOC_STREAMON
    #expect(try take(2, from: source).count == 2)
    #expect(faults.pending == 0)
    #expect(source.counters.restarts == 1)
  }

  @Test func aDriverThatNeverStartsAgainIsReported() throws {
    let faults = FaultInjector(wrapping: FakeCamera())
    let source = try V4L2CaptureSource("/dev/video0", request(), kernel: faults)
    faults.fail(.ioctl(0xc058_5611), with: .ioError)
    faults.fail(.ioctl(0x4004_5612), with: .ioError, times: 1000)
    let failure = #expect(throws: Failure.self) { _ = try take(1, from: source) }
    #expect(failure?.operation == "VIDIOC_STREAMON")
  }

  @Test func aBufferTheDriverRefusesIsTriedAgain() throws {
    let faults = FaultInjector(wrapping: FakeCamera())
    let source = try V4L2CaptureSource("/dev/video0", request(), kernel: faults)
    faults.fail(.ioctl(0xc058_560f), with: .invalidArgument)  // VIDIOC_QBUF
    #expect(try take(10, from: source).count == 10)
    #expect(source.pool?.free == 6)
    #expect(source.counters.restarts == 0)
  }

  @Test func aDeviceThatLeavesIsClosedReportedOnceAndTakenBack() throws {
    let camera = FakeCamera()
    let source = try V4L2CaptureSource("/dev/video0", request(), kernel: camera)
    guard let held = try source.next() else {
      Issue.record("no frame")
      return
    }
    camera.with { $0.isPresent = false }
    let failure = #expect(throws: Failure.self) { _ = try take(1, from: source) }
    #expect(failure?.errno == Errno(rawValue: 19))
    #expect(camera.with { $0.openFiles.isEmpty })
    #expect(try take(2, from: source).count == 2)
    #expect(source.counters.outages == 1)
    #expect(source.counters.restarts == 0)
    // A picture of before is still whole, and still listed.
    #expect(try DMABuf.size(held.buffer.memory.fileDescriptor, subject: "held") == 345_600)
    #expect(source.pool?.buffers.count == 7)
  }

  @Test func interruptEndsAWaitForGood() throws {
    let camera = FakeCamera()
    let source = try V4L2CaptureSource("/dev/video0", request(), kernel: camera)
    camera.with { $0.isSilent = true }
    let reader = Background { try self.take(1, from: source).isEmpty }
    #expect(eventually { camera.with { $0.isWaitedFor } })
    source.interrupt()
    #expect(try reader.value)
    camera.with { $0.isSilent = false }
    #expect(try take(1, from: source).isEmpty)
  }

  @Test func aDriverThatCannotExportGetsMemoryToImport() throws {
    let camera = FakeCamera()
    camera.with { $0.canExport = false }
    // memfd is no DMA-BUF: refused here, before the driver would.
    let failure = #expect(throws: Failure.self) { _ = try V4L2CaptureSource("/dev/video0", request(), kernel: camera) }
    #expect(failure?.operation == "VIDIOC_EXPBUF")
    var asked = request()
    asked.allocator = PretendedDMABufs()
    let source = try V4L2CaptureSource("/dev/video0", asked, kernel: camera)
    #expect(source.memoryKind == "dmabuf")
    #expect(source.remarks.contains { $0.hasPrefix("memory mmap refused: VIDIOC_EXPBUF") })
    #expect(try take(8, from: source).count == 8)
    // Always the same descriptor for the same index: drivers map anew when it changes.
    #expect(Set(camera.with { $0.imports }).count == 6)
  }

  // REQBUFS, QBUF, STREAMON
  @Test(arguments: [UInt(0xc014_5608), 0xc058_560f, 0x4004_5612])
  func aRefusedImportFallsBackToTheDriversBuffers(call: UInt) throws {
    let camera = FakeCamera()
    camera.with { $0.refusesImportAt = call }
    var asked = request(memory: "dmabuf")
    asked.allocator = PretendedDMABufs()
    let source = try V4L2CaptureSource("/dev/video0", asked, kernel: camera)
    #expect(source.memoryKind == "mmap")
    let facts = Dictionary(source.facts.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
    #expect(facts["allocator"] == "the device, exported as DMA-BUF")
    #expect(facts["memory_why"]?.hasPrefix("dmabuf was refused: VIDIOC_") == true)
    #expect(try take(8, from: source).count == 8)
    // The same after a restart.
    camera.with { $0.isBroken = true }
    #expect(try take(8, from: source).count == 8)
    #expect(source.memoryKind == "mmap")
  }

  @Test func whatWasChosenIsSaidWithTheReason() throws {
    func facts(_ memory: String) throws -> [String] {
      var asked = request(memory: memory)
      asked.allocator = PretendedDMABufs()
      let source = try V4L2CaptureSource("/dev/video0", asked, kernel: FakeCamera())
      return source.facts.map { "\($0.key): \($0.value)" }
    }
    #expect(
      try facts("auto") == [
        "device_format: NV12", "allocator: the device, exported as DMA-BUF",
        "memory_why: the driver's own buffers fit its needs",
      ])
    #expect(try facts("dmabuf") == ["device_format: NV12", "allocator: pretended", "memory_why: asked for"])
  }

  @Test func aDriverThatPromisesLessThanItsFormatIsNotUsed() throws {
    let camera = FakeCamera()
    camera.with { $0.missingBytes = 1000 }
    let failure = #expect(throws: Failure.self) { _ = try V4L2CaptureSource("/dev/video0", request(), kernel: camera) }
    #expect(failure?.errno == .invalidArgument)
    #expect(camera.with { $0.openFiles.isEmpty && $0.count == 0 })
  }

  @Test func whatItDoesNotOfferIsRefusedWithWhatItDoes() throws {
    let failure = #expect(throws: Failure.self) {
      _ = try V4L2CaptureSource("/dev/video0", request(), accepted: [.rgb24], kernel: FakeCamera())
    }
    #expect(failure?.errno == .notSupported)
    #expect(failure?.detail == "none of its formats can be used: YUYV NV12 H264")
  }

  @Test func everyRefusedCallLeavesNothingOpen() throws {
    // QUERYCAP, ENUM_FMT, S_FMT, S_PARM, REQBUFS, EXPBUF, QBUF, STREAMON
    let requests: [UInt] = [
      0x8068_5600, 0xc040_5602, 0xc0d0_5605, 0xc0cc_5616, 0xc014_5608, 0xc040_5610, 0xc058_560f, 0x4004_5612,
    ]
    for request in requests {
      let camera = FakeCamera()
      let faults = FaultInjector(wrapping: camera)
      // More often than any fallback tries.
      faults.fail(.ioctl(request), with: .ioError, times: 100)
      #expect(throws: Failure.self) { _ = try V4L2CaptureSource("/dev/video0", self.request(), kernel: faults) }
      #expect(faults.count(of: .ioctl(request)) > 0)
      #expect(camera.with { $0.openFiles.isEmpty })
    }
  }
}

/// memfds that say they are DMA-BUFs, for a driver that does not look.
private struct PretendedDMABufs: Allocator {
  var name: String { "pretended" }
  func allocate(size: Int, label: String) throws(Failure) -> any Memory {
    try asFailure { () throws(KernelError) in
      let memory = try Memfd.create(name: label, size: size)
      return try DescriptorMemory(owning: memory, exporter: "pretended", isDMABuf: true, label: label)
    }
  }
}
