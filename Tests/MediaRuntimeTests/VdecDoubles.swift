// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import Synchronization
import SystemPackage

@testable import MediaRuntime

/// What a fake decoder does and what was asked of it.
final class DecoderScript: Sendable {
  /// Shut: `decode` does not come back, not even when it is interrupted.
  let gate = GateBox()
  /// Shut: every unit fails as a device fails.
  let fails = GateBox()
  /// Shut: opening fails.
  let isBusy = GateBox()
  /// Units with this byte behind their header cannot be decoded.
  static let damage: UInt8 = 0xdd
  let opened = Atomic<Int>(0)
  let decoded = Atomic<Int>(0)
  /// Pictures held back before the first comes out.
  let delay: Int
  let heapCalls = HeapNotes()
  let entry: DecoderEntry
  init(delay: Int = 0, entry: DecoderEntry = .keyPictures) {
    self.delay = delay
    self.entry = entry
  }
}

/// Makes pictures without looking at the bytes.
final class ScriptedDecoder: Decoder, @unchecked Sendable {
  let engine = "fakedec 1"
  var layout: FrameLayout? { Doubles.layout }
  let memoryKind = "memfd"
  var pool: (any BufferPool)? { frames }
  let counters = DecoderCounters()
  var isBroken: Bool { script.fails.isShut }
  var entry: DecoderEntry { script.entry }
  private let script: DecoderScript
  private let frames: Pool
  private let user: UserSlot
  private let interrupted = Atomic<Bool>(false)
  private var held: [Int64] = []
  private var sequence: UInt64 = 0

  init(_ configuration: DecoderConfiguration, _ script: DecoderScript) throws(Failure) {
    self.script = script
    user = configuration.user
    frames = try Pool(
      name: configuration.poolName, size: Doubles.layout.byteCount, count: configuration.bufferCount,
      allocator: configuration.allocator)
    held.reserveCapacity(64)
    script.opened.add(1, ordering: .relaxed)
  }

  deinit { frames.close() }

  func submit<Sink: FrameSink & ~Copyable>(
    _ unit: UnsafeRawBufferPointer, pts: Int64, into sink: inout Sink
  ) throws(Failure) {
    while script.gate.isShut { usleep(500) }
    if script.fails.isShut { throw Failure(.ioError, "decode", on: "fake") }
    if unit.count > 6, unit[6] == DecoderScript.damage { throw Failure(.illegalByteSequence, "decode", on: "fake") }
    script.decoded.add(1, ordering: .relaxed)
    held.append(pts)
    if held.count > script.delay { try give(held.remove(at: 0), &sink) }
    script.heapCalls.note()
  }

  private func give<Sink: FrameSink & ~Copyable>(_ pts: Int64, _ sink: inout Sink) throws(Failure) {
    var buffer = frames.take(as: user)
    while buffer == nil, !interrupted.load(ordering: .relaxed) {
      usleep(1000)
      buffer = frames.take(as: user)
    }
    guard let taken = buffer.take() else { throw Failure(.noBufferSpace, "decode", on: "fake") }
    sink.picture(Frame(taken, layout: Doubles.layout, pts: pts, sequence: sequence, stamps: FrameStamps()))
    sequence += 1
  }

  func drain<Sink: FrameSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    while !held.isEmpty { try give(held.remove(at: 0), &sink) }
  }

  func flush() throws(Failure) { held = [] }
  func interrupt() { interrupted.store(true, ordering: .relaxed) }
}

struct ScriptedDecoderFactory: DecoderFactory {
  var name = "fakedec"
  var script = DecoderScript()
  var isHardware = false
  var codecs: [Codec] { [.h264] }
  var priority: Int { 1 }
  func open(_ configuration: DecoderConfiguration) throws(Failure) -> any Decoder {
    if script.isBusy.isShut { throw Failure(.resourceBusy, "open", on: "fake") }
    return try ScriptedDecoder(configuration, script)
  }
}

/// Bytes a parser takes for H.264 pictures.
enum FakeStream {
  static func unit(isKey: Bool, damaged: Bool = false, size: Int = 60) -> [UInt8] {
    let header: [UInt8] =
      isKey
      ? [0, 0, 0, 1, 0x65, 0x9a, damaged ? DecoderScript.damage : 0x55]
      : [0, 0, 0, 1, 0x41, 0x9a, damaged ? DecoderScript.damage : 0x55]
    return header + [UInt8](repeating: 0x55, count: size)
  }

  /// Pictures of which every tenth is a key picture.
  static func stream(_ count: Int, damaged: Set<Int> = [], size: Int = 60) -> [UInt8] {
    (0..<count).flatMap { unit(isKey: $0 % 10 == 0, damaged: damaged.contains($0), size: size) }
  }
}

extension FeedWriter {
  /// Writes all of it, waiting for room.
  func writeAll(_ bytes: [UInt8]) -> Outcome {
    var at = 0
    while at < bytes.count {
      switch bytes.withUnsafeBytes({ write(UnsafeRawBufferPointer(rebasing: $0[at...])) }) {
      case .taken(let count): at += count
      case .wouldBlock: usleep(200)
      case .refused(let refusal): return .refused(refusal)
      }
    }
    return .taken(at)
  }
}
