// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import SystemPackage

/// Where a decoder channel's units come from.
extension VdecRun {
  // MARK: a file

  /// Plays a file to its end and, where it loops, again.
  func play(_ source: any PacketSource) {
    var errors = 0
    while !isStopping {
      do throws(Failure) {
        if let unit = try source.next() {
          errors = 0
          counters.bytesIn(unit.bytes.count)
          counters.skipped(source.skipped)
          take(unit.bytes, pts: unit.pts, duration: unit.duration)
          continue
        }
        counters.skipped(source.skipped)
        guard !isStopping else { return }
        drain()
        guard work.value.picturesOfStream > 0 else {
          // Not even one picture: reading it again and again would only be work.value.
          complain("no picture of it can be decoded", as: work.value.codec)
          return
        }
        guard loops else {
          finish("the input has ended")
          return
        }
        work.value.picturesOfStream = 0
        work.value.beginPass()
        counters.looped()
        try source.rewind()
      } catch {
        if isStopping { return }
        errors += 1
        report(error)
        pause(min(.seconds(1), .milliseconds(10) << Int64(min(errors, 7))))
      }
    }
  }

  // MARK: what is written to `feed`

  /// Decodes what one writer after the other feeds.
  func follow(_ queue: FeedQueue) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    defer { buffer.deallocate() }
    var skippedBefore: UInt64 = 0
    while !isStopping {
      var stream = FeedStream(asked: work.value.asked)
      if stream.splitter != nil { begin(stream.codec) }
      var hasBytes = false
      stream: while !isStopping {
        while !isStopping, let unit = stream.next() { take(unit, pts: nil, duration: 0) }
        counters.skipped(skippedBefore &+ stream.skipped)
        if stream.isHopeless, !work.value.isReported {
          complain(
            stream.codec.map { "no \($0) in the last \(stream.unused >> 10) KiB fed" }
              ?? "the first \(StreamSniffer.enough >> 10) KiB are no stream of \(names)", as: nil)
        }
        switch queue.take(into: buffer) {
        case .bytes(let count):
          hasBytes = true
          counters.bytesIn(count)
          if stream.append(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { begin(stream.codec) }
        case .empty:
          work.value.hasWaited = true
          queue.wait(until: .max, cancelled: { isStopping })
        case .ended:
          if stream.settle() { begin(stream.codec) }
          while !isStopping, let unit = stream.next() { take(unit, pts: nil, duration: 0) }
          if let last = stream.finish() { take(last, pts: nil, duration: 0) }
          counters.skipped(skippedBefore &+ stream.skipped)
          endStream(hasBytes, as: stream.codec)
          break stream
        }
      }
      skippedBefore &+= stream.skipped
    }
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
