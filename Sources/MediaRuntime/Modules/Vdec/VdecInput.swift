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
      if work.value.isOver {
        // Woken by something else than `loop`.
        guard loops || !channel.hasFailed else { return false }
        // What time went by since it ended is no lateness.
        if channel.hasFailed { work.value.pace.restart() }
        try playAgain(file)
      }
      let source = file.source
      if let unit = try source.next() {
        counters.bytesIn(unit.bytes.count)
        counters.skipped(work.value.skippedBefore &+ source.skipped)
        take(unit)
        return true
      }
      counters.skipped(work.value.skippedBefore &+ source.skipped)
      guard !isStopping else { return false }
      drain()
      let hasPictures = work.value.picturesOfStream > 0
      if !hasPictures { complainOfNothing("no picture of it can be decoded", as: work.value.codec) }
      work.value.isOver = true
      guard loops else {
        if hasPictures {
          // Until pictures come again, should `loop` be set.
          work.value.isReported = true
          channel.ends()
        }
        return false
      }
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
    work.value.begin(source.codec)
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
      let before = work.value.picturesOfStream > 0 ? work.value.parser : nil
      let new = FedStream(asked: work.value.asked, before: before, of: work.value.codec)
      work.value.fed = new
      work.value.isReportOld = true
      if new.cutter.splitter != nil { begin(new.cutter.codec) }
    }
    guard let fed = work.value.fed else { return false }
    if let unit = fed.cutter.next() {
      if let rate = fed.cutter.frameRate { work.value.container = rate }
      take(unit)
      if work.value.picturesOfStream > 0 { fed.cutter.isDecoded() }
      return true
    }
    counters.skipped(work.value.skippedBefore &+ fed.cutter.skipped)
    if fed.cutter.isHopeless, mayReport { complain(fed.cutter.reason(names), as: nil) }
    switch queue.take(into: work.value.bytes) {
    case .bytes(let count):
      fed.hasBytes = true
      counters.bytesIn(count)
      work.value.cameAt = queue.takenCame
      if fed.cutter.append(UnsafeRawBufferPointer(rebasing: work.value.bytes[..<count])) { begin(fed.cutter.codec) }
    case .empty:
      work.value.hasWaited = true
      if hasCollected(until: .max, while: { queue.isDry }) {
        give()
      } else if !engine.worksByItself || isStopping {
        queue.wait(until: .max, cancelled: { isStopping })
      }
    case .unusable(let refusal):
      // The writer was told, and with it the error log.
      (work.value.isReported, work.value.isReportOld) = (true, false)
      channel.fails(Failure(refusal.errno, "decode", on: "feed", refusal.reason), isFault: false)
    case .ended: end(fed)
    }
    return true
  }

  /// What one writer fed has come to its end.
  private func end(_ fed: FedStream) {
    if fed.cutter.settle() { begin(fed.cutter.codec) }
    while !isStopping, let unit = fed.cutter.next() { take(unit) }
    if let last = fed.cutter.finish() { take(last) }
    work.value.skippedBefore &+= fed.cutter.skipped
    counters.skipped(work.value.skippedBefore)
    drain()
    if fed.hasBytes, work.value.picturesOfStream == 0 {
      if fed.cutter.isHopeless {
        complain(fed.cutter.reason(names), as: nil)
      } else {
        complainOfNothing("nothing of what was fed can be decoded", as: fed.cutter.codec)
      }
    }
    // The next stream's first picture is due when it comes.
    work.value.pace.restart()
    work.value.fed = nil
  }

  private func complainOfNothing(_ otherwise: String, as codec: Codec?) {
    let last = work.value.lastFailure.map { "\(otherwise): \($0)" }
    complain(codec.flatMap { work.value.entry.reason($0) } ?? last ?? otherwise, as: codec)
  }

  private var names: String {
    environment.engines.decodableCodecs.map(\.rawValue).joined(separator: ", ")
  }

  /// The coding of a new stream is known.
  private func begin(_ codec: Codec?) {
    work.value.begin(codec)
    work.value.container = nil
    work.value.picturesOfStream = 0
  }
}
