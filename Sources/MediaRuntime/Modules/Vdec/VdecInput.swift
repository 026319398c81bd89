// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import SystemPackage

/// Where a decoder channel's units come from.
extension VdecRun {
  // MARK: a file

  /// Decodes the next unit of a file; at its end, where it loops, begins again.
  /// - Returns: false when it does not go on.
  func play(_ file: VdecFile) -> Bool {
    do throws(Failure) {
      if work.value.isOver { try playAgain(file) }
      let source = file.source
      if let unit = try source.next() {
        counters.bytesIn(unit.bytes.count)
        counters.skipped(work.value.skippedBefore &+ source.skipped)
        take(unit.bytes, pts: unit.pts, duration: unit.duration)
        return true
      }
      counters.skipped(work.value.skippedBefore &+ source.skipped)
      guard !isStopping else { return false }
      drain()
      let hasPictures = work.value.picturesOfStream > 0
      if !hasPictures { complain("no picture of it can be decoded", as: work.value.codec) }
      guard loops else {
        if hasPictures { finish("the input has ended") }
        return false
      }
      work.value.isOver = true
      // Reading it again and again would only be work, until it is another file.
      if !hasPictures { waitToTryAgain(atMost: .seconds(10)) }
    } catch {
      if isStopping { return false }
      report(error)
      if work.value.errors >= VdecRun.patience { work.value.isOver = true }
      waitToTryAgain(atMost: .seconds(1))
    }
    return true
  }

  private func playAgain(_ file: VdecFile) throws(Failure) {
    let skipped = file.source.skipped
    try file.reopen()
    work.value.isOver = false
    work.value.skippedBefore &+= skipped
    work.value.picturesOfStream = 0
    let source = file.source
    if source.codec != work.value.codec { work.value.codec = source.codec }
    work.value.container = source.frameRate
    work.value.beginPass()
    counters.looped()
  }

  private func waitToTryAgain(atMost longest: Int64) {
    work.value.errors += 1
    pause(min(longest, .milliseconds(10) << Int64(min(work.value.errors, 10))))
  }

  // MARK: what is written to `feed`

  /// Decodes the next unit of what one writer after the other feeds, or takes in what it is to be cut from.
  func follow(_ queue: FeedQueue) -> Bool {
    if work.value.fed == nil {
      let new = FedStream(asked: work.value.asked)
      work.value.fed = new
      if new.cutter.splitter != nil { begin(new.cutter.codec) }
    }
    guard let fed = work.value.fed else { return false }
    if let unit = fed.cutter.next() {
      take(unit, pts: nil, duration: 0)
      return true
    }
    counters.skipped(work.value.skippedBefore &+ fed.cutter.skipped)
    if fed.cutter.isHopeless, !work.value.isReported {
      complain(
        fed.cutter.codec.map { "no \($0) in the last \(fed.cutter.unused >> 10) KiB fed" }
          ?? "the first \(StreamSniffer.enough >> 10) KiB are no stream of \(names)", as: nil)
    }
    switch queue.take(into: work.value.bytes) {
    case .bytes(let count):
      fed.hasBytes = true
      counters.bytesIn(count)
      if fed.cutter.append(UnsafeRawBufferPointer(rebasing: work.value.bytes[..<count])) { begin(fed.cutter.codec) }
    case .empty:
      work.value.hasWaited = true
      if hasCollected(until: .max, while: { queue.isDry }) {
        give()
      } else if !engine.worksByItself || isStopping {
        queue.wait(until: .max, cancelled: { isStopping })
      }
    case .ended: end(fed)
    }
    return true
  }

  /// What one writer fed has come to its end.
  private func end(_ fed: FedStream) {
    if fed.cutter.settle() { begin(fed.cutter.codec) }
    while !isStopping, let unit = fed.cutter.next() { take(unit, pts: nil, duration: 0) }
    if let last = fed.cutter.finish() { take(last, pts: nil, duration: 0) }
    work.value.skippedBefore &+= fed.cutter.skipped
    counters.skipped(work.value.skippedBefore)
    endStream(fed.hasBytes, as: fed.cutter.codec)
    work.value.fed = nil
  }

  private var names: String {
    environment.engines.decodableCodecs.map(\.rawValue).joined(separator: ", ")
  }

  /// The coding of a new stream is known.
  private func begin(_ codec: Codec?) {
    work.value.codec = codec
    work.value.picturesOfStream = 0
  }

  private func endStream(_ hasBytes: Bool, as codec: Codec?) {
    drain()
    if hasBytes, work.value.picturesOfStream == 0 { complain("nothing of what was fed can be decoded", as: codec) }
    // The next stream's first picture is due when it comes.
    work.value.pace.restart()
  }
}

/// What one writer feeds. Of the session's worker.
final class FedStream {
  var cutter: FeedStream
  var hasBytes = false

  init(asked: Codec?) { cutter = FeedStream(asked: asked) }
}

/// One writer's bytes: finds out what they are, where that was not said, and cuts them into units.
struct FeedStream: ~Copyable {
  private(set) var codec: Codec?
  private(set) var splitter: AccessUnitSplitter?
  /// The first bytes, until it is known what they are.
  private var probe: [UInt8] = []
  private var thrownAway: UInt64 = 0
  /// Bytes since the last unit.
  private(set) var unused = 0
  private var isLost = false

  init(asked: Codec?) {
    codec = asked
    if let asked { splitter = AccessUnitSplitter(asked) } else { splitter = nil }
  }

  var skipped: UInt64 {
    switch splitter {
    case .some(let splitter): thrownAway &+ splitter.skipped
    case .none: thrownAway
    }
  }

  /// So many bytes without a unit that it is no stream of this coding.
  var isHopeless: Bool { isLost || unused > 2 << 20 }

  /// - Returns: true when the coding has just been found out.
  mutating func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
    unused += bytes.count
    guard splitter == nil else {
      splitter?.append(bytes)
      return false
    }
    guard !isLost else {
      thrownAway &+= UInt64(bytes.count)
      return false
    }
    probe.append(contentsOf: bytes)
    let found = sniff()
    if !found, probe.count >= StreamSniffer.enough { giveUp() }
    return found
  }

  /// Nothing more comes: what there is must do to find out the coding.
  /// - Returns: true when it has just been found out.
  mutating func settle() -> Bool {
    guard splitter == nil, !isLost else { return false }
    if sniff() { return true }
    giveUp()
    return false
  }

  private mutating func sniff() -> Bool {
    guard let found = probe.withUnsafeBytes({ StreamSniffer.codec($0) }) else { return false }
    codec = found
    var new = AccessUnitSplitter(found)
    probe.withUnsafeBytes { new.append($0) }
    splitter = consume new
    probe = []
    return true
  }

  private mutating func giveUp() {
    thrownAway &+= UInt64(probe.count)
    probe = []
    isLost = true
  }

  mutating func next() -> UnsafeRawBufferPointer? {
    let unit = splitter?.next() ?? nil
    if unit != nil { unused = 0 }
    return unit
  }

  mutating func finish() -> UnsafeRawBufferPointer? { splitter?.finish() ?? nil }
}
