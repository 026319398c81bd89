// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// What one writer feeds. Of the session's worker.
final class FedStream {
  var cutter: FeedStream
  var hasBytes = false

  /// - Parameters:
  ///   - before: has read the stream before this one, whose parameter sets this one may use.
  ///   - codec: of that one.
  init(asked: Codec?, before: PictureParser?, of codec: Codec?) {
    cutter = FeedStream(asked: asked, before: before, of: codec)
  }
}

/// One writer's bytes: finds out what they are, where that was not said, and cuts them into units.
struct FeedStream: ~Copyable {
  /// The most that is looked at to see whether a stream is of the coding it should be.
  private static let head = 64 << 10
  /// Kept of what was looked at in vain: a parameter set may stand across its end.
  private static let tail = 16 << 10
  /// So many bytes without a unit, and it is no stream of this coding.
  private static let patience: UInt64 = 2 << 20

  private(set) var codec: Codec?
  private(set) var splitter: AccessUnitSplitter?
  /// The first bytes, until it is known what they are.
  private var probe: [UInt8] = []
  /// What `probe` is looked at for next: at twice as many bytes as the last time.
  private var nextLook = 256
  private var thrownAway: UInt64 = 0
  /// Bytes that belonged to no unit by the time of the last one.
  private var skippedAtUnit: UInt64 = 0
  /// It is of another coding than was asked for.
  private var foreign: Codec?
  private var isLost = false
  /// It has start codes, and units behind them.
  private var hasUnits = false
  private let before: PictureParser?
  private let codecBefore: Codec?

  init(asked: Codec?, before: PictureParser? = nil, of codecBefore: Codec? = nil) {
    codec = asked
    self.before = before
    self.codecBefore = codecBefore
    if let asked { splitter = AccessUnitSplitter(asked) } else { splitter = nil }
    // All of it at once: nothing is allocated between pictures.
    if asked != nil { probe.reserveCapacity(Self.head) }
  }

  var skipped: UInt64 {
    switch splitter {
    case .some(let splitter): thrownAway &+ splitter.skipped
    case .none: thrownAway
    }
  }

  /// Pictures a second, where the stream says so outside of its pictures.
  var frameRate: FrameRate? {
    switch splitter {
    case .some(let splitter): splitter.frameRate
    case .none: nil
    }
  }

  /// Nothing of it can be used, or so much that it is no stream of this coding. What a unit is still collected of is none of that.
  var isHopeless: Bool { isLost || foreign != nil || skipped &- skippedAtUnit > Self.patience }

  /// Why it is hopeless.
  /// - Parameter names: of the codings that are decoded here.
  func reason(_ names: String) -> String {
    if let foreign, let codec { return "what is fed is \(foreign), not \(codec); set codec to it, or to auto" }
    if let codec { return "no \(codec) in the last \((skipped &- skippedAtUnit) >> 10) KiB fed" }
    if hasUnits {
      return
        "no parameter sets in the first \(thrownAway >> 10) KiB: a stream that is joined in the middle needs them first"
    }
    return "no coded video recognised; feed takes streams of \(names)"
  }

  /// - Returns: true when the coding has just been found out.
  mutating func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard foreign == nil else {
      thrownAway &+= UInt64(bytes.count)
      return false
    }
    if splitter != nil {
      splitter?.append(bytes)
      if nextLook <= Self.head { compare(bytes) }
      return false
    }
    probe.append(contentsOf: bytes)
    let found = sniff()
    if !found, probe.count >= StreamSniffer.enough { giveUp(keeping: Self.tail) }
    return found
  }

  /// Nothing more comes: what there is must do to find out the coding.
  /// - Returns: true when it has just been found out.
  mutating func settle() -> Bool {
    if splitter != nil {
      if nextLook <= Self.head { look() }
      return false
    }
    if sniff() { return true }
    giveUp(keeping: 0)
    return false
  }

  /// Whether it is of the coding that was asked for.
  private mutating func compare(_ bytes: UnsafeRawBufferPointer) {
    let size = min(bytes.count, Self.head - probe.count)
    probe.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[..<size]))
    if probe.count >= nextLook { look() }
    if probe.count >= Self.head { stopLooking() }
  }

  private mutating func look() {
    nextLook = max(nextLook, probe.count) * 2
    guard let found = probe.withUnsafeBytes({ StreamSniffer.codec($0) }) else { return }
    stopLooking()
    guard found != codec else { return }
    foreign = found
    // What was cut from it was none of its pictures.
    splitter = codec.map { AccessUnitSplitter($0) }
  }

  /// A picture of it has come: it is what it should be.
  mutating func isDecoded() { if splitter != nil, nextLook < .max { stopLooking() } }

  private mutating func stopLooking() {
    nextLook = .max
    probe = []
  }

  private mutating func sniff() -> Bool {
    guard let found = probe.withUnsafeBytes({ StreamSniffer.codec($0) ?? continued($0) }) else { return false }
    codec = found
    var new = AccessUnitSplitter(found)
    probe.withUnsafeBytes { new.append($0) }
    splitter = consume new
    stopLooking()
    isLost = false
    skippedAtUnit = thrownAway
    return true
  }

  /// The coding of the stream before, where this one goes on with its parameter sets.
  private func continued(_ bytes: UnsafeRawBufferPointer) -> Codec? {
    guard let codecBefore, codecBefore == .h264 || codecBefore == .h265, var parser = before else { return nil }
    let info = parser.parse(bytes)
    return info.isRecoveryPoint && !info.lacksParameterSets && info.type != nil ? codecBefore : nil
  }

  private mutating func giveUp(keeping count: Int) {
    isLost = true
    hasUnits = hasUnits || probe.withUnsafeBytes { StreamSniffer.hasUnits($0) }
    let gone = max(0, probe.count - count)
    thrownAway &+= UInt64(gone)
    probe.removeFirst(gone)
  }

  mutating func next() -> CodedUnit? {
    guard foreign == nil, let unit = splitter?.next() ?? nil else { return nil }
    return made(of: unit)
  }

  mutating func finish() -> CodedUnit? {
    guard foreign == nil, let unit = splitter?.finish() ?? nil else { return nil }
    return made(of: unit)
  }

  private mutating func made(of unit: UnsafeRawBufferPointer) -> CodedUnit {
    skippedAtUnit = skipped
    return CodedUnit(unit, pts: splitter?.time ?? nil, isCutOff: splitter?.isCutOff ?? false)
  }
}
