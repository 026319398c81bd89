// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore
import Reports
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// A device that makes as many pictures as the test lets it.
private final class DeviceScript: Sendable {
  struct State {
    var allowed = 0
    /// Units it has, oldest first, and whether each can be decoded.
    var inside: [(pts: Int64, isDamaged: Bool)] = []
    var most = 0
    var isWoken = false
    var isStopped = false
    var fails: Errno?
  }
  let state = Monitor(State())
  func allow(_ count: Int) { state.change { $0.allowed += count } }
  func fail(_ errno: Errno) { state.change { $0.fails = errno } }
  var inside: Int { state.withLock { $0.inside.count } }
}

private final class DeviceDecoder: Decoder, Waker, @unchecked Sendable {
  let engine = "device 1"
  var layout: FrameLayout? { Doubles.layout }
  let memoryKind = "memfd"
  var pool: (any BufferPool)? { frames }
  let counters = DecoderCounters()
  private(set) var isBroken = false
  private let device: DeviceScript
  private let frames: Pool
  private let user: UserSlot
  private var sequence: UInt64 = 0
  /// Units it has room for.
  static let room = 4

  init(_ configuration: DecoderConfiguration, _ device: DeviceScript) throws(Failure) {
    self.device = device
    user = configuration.user
    frames = try Pool(
      name: configuration.poolName, size: Doubles.layout.byteCount, count: configuration.bufferCount,
      allocator: configuration.allocator)
    device.state.withLock { ($0.inside, $0.isStopped) = ([], false) }
  }

  deinit { frames.close() }

  var inside: Int { device.inside }
  var waker: (any Waker)? { self }
  func wake() { device.state.change { $0.isWoken = true } }

  func submit<Sink: FrameSink & ~Copyable>(
    _ unit: UnsafeRawBufferPointer, pts: Int64, into sink: inout Sink
  ) throws(Failure) {
    while device.inside == Self.room { try take(until: .max, orWoken: false, into: &sink) }
    let isDamaged = unit.count > 6 && unit[6] == DecoderScript.damage
    device.state.withLock {
      $0.inside.append((pts, isDamaged))
      $0.most = max($0.most, $0.inside.count)
    }
    try take(until: 0, orWoken: false, into: &sink)
  }

  func collect<Sink: FrameSink & ~Copyable>(until deadline: Int64, into sink: inout Sink) throws(Failure) {
    try take(until: deadline, orWoken: true, into: &sink)
  }

  private enum Step {
    case failed(Errno)
    case units([(pts: Int64, isDamaged: Bool)])
  }

  /// Gives all that is allowed, waiting for the first.
  private func take<Sink: FrameSink & ~Copyable>(
    until deadline: Int64, orWoken: Bool, into sink: inout Sink
  ) throws(Failure) {
    let step = device.state.wait(until: deadline) { state -> Step? in
      if let errno = state.fails { return .failed(errno) }
      if state.isStopped { return .failed(.canceled) }
      let count = min(state.allowed, state.inside.count)
      if count > 0 {
        defer {
          state.inside.removeFirst(count)
          state.allowed -= count
        }
        return .units(Array(state.inside.prefix(count)))
      }
      defer { if orWoken { state.isWoken = false } }
      return orWoken && state.isWoken ? .units([]) : nil
    }
    switch step {
    case .none: return
    case .failed(let errno):
      isBroken = errno != .canceled
      throw Failure(errno, "decode", on: "device")
    case .units(let units):
      for unit in units {
        guard !unit.isDamaged else {
          sink.lost(unit.pts, Failure(.illegalByteSequence, "decode", on: "device"))
          continue
        }
        guard let ref = frames.take(as: user) else { throw Failure(.noBufferSpace, "decode", on: "device") }
        sink.picture(Frame(ref, layout: Doubles.layout, pts: unit.pts, sequence: sequence, stamps: FrameStamps()))
        sequence += 1
      }
    }
  }

  func drain<Sink: FrameSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    while device.inside > 0 { try take(until: .max, orWoken: false, into: &sink) }
  }

  func flush() throws(Failure) { device.state.withLock { $0.inside = [] } }
  func interrupt() { device.state.change { $0.isStopped = true } }
}

private struct DeviceDecoderFactory: DecoderFactory {
  let name = "/dev/video9"
  let device: DeviceScript
  let isHardware = true
  var codecs: [Codec] { [.h264] }
  var priority: Int { 1 }
  func open(_ configuration: DecoderConfiguration) throws(Failure) -> any Decoder {
    try DeviceDecoder(configuration, device)
  }
}

/// Decoder channels on a device that works by itself, several units at once.
@Suite(.ownThread) struct VdecDepthTests {
  private let device = DeviceScript()
  private let bench: Bench

  init() throws {
    bench = try Bench(decoders: [DeviceDecoderFactory(device: device)], options: GraphOptions(workers: 3))
    try bench.make("vdec/0", ["codec": .text("h264"), "pace": .text("none")])
    try bench.start("vdec/0")
  }

  private var session: SessionReport? { bench.graph.sessionFigures().first { $0.path == "vdec/0" } }

  private func isAnsweredFor() -> Bool {
    let figures = bench.figures("vdec/0")
    return figures.inFlight == 0 && figures.input.frames == figures.output.frames + figures.dropped.total
  }

  @Test func unitsGoInAheadAndTheirPicturesComeWhileNothingIsFed() throws {
    let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    // The last of them ends with the next one's beginning.
    _ = writer.writeAll(FakeStream.stream(DeviceDecoder.room + 1))
    #expect(eventually { device.inside == DeviceDecoder.room })
    #expect(session?.runningSince != nil && bench.figures("vdec/0").output.frames == 0)
    for count in 1...UInt64(DeviceDecoder.room) {
      device.allow(1)
      #expect(eventually { bench.figures("vdec/0").output.frames == count }, "with nothing fed meanwhile")
    }
    #expect(eventually { session?.runningSince == nil }, "nothing is inside")
    #expect(session?.done == UInt64(DeviceDecoder.room) && session?.begun == session?.done)
    device.allow(100)
    _ = writer.writeAll(FakeStream.stream(20))
    writer.close()
    #expect(eventually { bench.figures("vdec/0").output.frames == UInt64(DeviceDecoder.room) + 21 })
    #expect(device.state.withLock { $0.most } == DeviceDecoder.room)
    #expect(bench.figures("vdec/0").dropped.total == 0 && isAnsweredFor())
    bench.finish()
  }

  @Test func whatWasGivenAfterALostUnitIsNotShownUpToTheNextKeyPicture() throws {
    let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    // The damaged one is known as such only when three others are inside.
    _ = writer.writeAll(FakeStream.stream(5, damaged: [1]))
    #expect(eventually { device.inside == DeviceDecoder.room })
    device.allow(100)
    #expect(eventually { bench.figures("vdec/0").dropped.total == 3 && bench.figures("vdec/0").output.frames == 1 })
    _ = writer.writeAll(FakeStream.stream(10))
    writer.close()
    #expect(eventually { bench.figures("vdec/0").output.frames == 11 })
    let figures = bench.figures("vdec/0")
    #expect(figures.dropped.total == 4 && figures.dropped[.deviceError] == 4, "1, those inside after it, and 4")
    #expect(eventually { isAnsweredFor() })
    #expect(session.map { [$0.begun, $0.done, $0.failed] } == [14, 13, 1])
    bench.finish()
  }

  @Test func aKeyPictureThatIsInsideEndsTheLoss() throws {
    let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    _ = writer.writeAll(FakeStream.unit(isKey: true) + FakeStream.unit(isKey: false, damaged: true))
    _ = writer.writeAll(FakeStream.stream(3))
    #expect(eventually { device.inside == DeviceDecoder.room })
    device.allow(100)
    #expect(eventually { bench.figures("vdec/0").output.frames == 3 })
    writer.close()
    #expect(eventually { bench.figures("vdec/0").output.frames == 4 && isAnsweredFor() })
    #expect(bench.figures("vdec/0").dropped.total == 1)
    bench.finish()
  }

  @Test func whatIsInsideADeviceThatFailsIsCountedAsLost() throws {
    let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    _ = writer.writeAll(FakeStream.stream(4))
    #expect(eventually { device.inside == 3 })
    device.fail(.ioError)
    #expect(eventually { bench.figures("vdec/0").dropped[.deviceError] == 3 && session?.runningSince == nil })
    #expect(session.map { [$0.begun, $0.failed] } == [3, 3])
    bench.finish()
  }

  @Test func stoppingDoesNotWaitForWhatIsInside() throws {
    let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    _ = writer.writeAll(FakeStream.stream(4))
    #expect(eventually { device.inside == 3 })
    bench.stop("vdec/0")
    let figures = bench.figures("vdec/0")
    #expect(figures.dropped.total == 3 && figures.dropped[.flushed] == 3 && isAnsweredFor())
    #expect(session.map { $0.begun == $0.done + $0.failed + $0.timedOut } == true)
    bench.finish()
  }
}
