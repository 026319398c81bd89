// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports

/// What becomes of the pictures a decoder gives: they wait here, and go to the receivers when they are due.
extension VdecRun {
  /// Takes a picture from the decoder; it is given when the decoder has come back.
  fileprivate func came(_ frame: consuming Frame) {
    engine.pictures += 1
    work.value.picturesOfStream += 1
    work.value.errors = 0
    let unit = work.value.ledger.came(frame.pts)
    if let unit, engine.worksByItself {
      work.value.failures = 0
      record(.done, unit, at: Clock.now())
    }
    // What is damaged no device gives; it counts what it could not make a picture of.
    let isDamaged = engine.takeDamaged() > 0 && engine.decoder?.entry != .keyPictures
    judge(frame.pts, unit, isDamaged: isDamaged)
    // More at once than any decoder holds back.
    if work.value.pictures.isFull { give() }
    guard !work.value.pictures.isFull else {
      // A picture carries its unit's number in place of its time.
      if let unit = work.value.ledger.settle(frame.pts) { node.work.drop(.noBuffer, unit.name(frame.pts), at: .output) }
      return
    }
    work.value.pictures.push(frame)
  }

  /// Counts a picture that is not as it was coded, and finds those that will not come any more.
  private func judge(_ number: Int64, _ unit: UnitLedger.Unit?, isDamaged: Bool) {
    if isDamaged, unit?.isReference ?? true, !work.value.ledger.spoil(after: number, areShown: true) {
      work.value.entry.hurt()
    }
    if isDamaged || unit?.isHurt ?? false {
      if !(unit?.isSpoilt ?? false) { counters.damagedPicture() }
    } else {
      work.value.ledger.removeHurt(before: number) { leaveOut($0, $1) }
    }
  }

  /// A unit the decoder had taken gives no picture.
  fileprivate func lost(_ number: Int64, _ why: Failure) {
    let isOver = work.value.standsAlone || number >= 0 && work.value.ledger.spoil(after: number)
    work.value.loss = VdecWork.Loss(why: why, isOver: isOver)
    guard let unit = work.value.ledger.settle(number) else { return }
    node.work.drop(isStopping ? .flushed : .deviceError, unit.name(number))
    record(TaskOutcome(why), unit, at: Clock.now())
  }

  /// Gives the pictures that have come, each when it is due.
  func give() {
    while hasGiven() {}
  }

  /// Not inlined: inside a loop it fails the checks that a Swift 6.2 with assertions makes of its own work.
  /// - Returns: false when none waits.
  @inline(never) private func hasGiven() -> Bool {
    guard let frame = work.value.pictures.pop() else { return false }
    give(frame)
    return true
  }

  private func give(_ frame: consuming Frame) {
    let unit = work.value.ledger.settle(frame.pts)
    let name = (unit ?? UnitLedger.Unit()).name(frame.pts)
    if unit == nil {
      // Two pictures of one unit: the second came in with it.
      node.input.counters.countAlone(at: Clock.now())
    }
    if unit?.isSpoilt ?? false {
      node.work.drop(.deviceError, name, at: .output)
      return
    }
    if work.value.isReported {
      work.value.isReported = false
      channel.works("decodes again")
    }
    let time = work.value.time(of: unit)
    frame.layout = meant(frame.layout)
    announce(frame.layout)
    work.value.waiting = 1
    let keeps = isPaced ? keepsTime(time) : waitsForRoom(time)
    work.value.waiting = 0
    guard keeps else {
      node.work.drop(isStopping ? .flushed : .late, name, at: .output)
      _ = consume frame
      return
    }
    frame.pts = work.value.pace.presentation(time)
    frame.stamps.captured = unit?.takenAt ?? Clock.now()
    if let came = unit?.cameAt { counters.lags((Clock.now() - came) / 1000) }
    channel.tap.pass(frame)
    node.output.deliver(frame, at: Clock.now())
  }

  private func announce(_ layout: FrameLayout) {
    let rate = work.value.rate
    let old = node.output.format
    guard old.map({ $0.layout != layout || $0.rate != rate }) ?? true else { return }
    if let old, (old.layout.width, old.layout.height) != (layout.width, layout.height) { counters.layoutChanged() }
    node.output.announce(StreamFormat(layout: layout, rate: rate))
    show()
  }

  /// Waits until the picture of this time is due.
  /// - Returns: false when it is left out.
  private func keepsTime(_ time: Int64) -> Bool {
    let now = Clock.now()
    let verdict = work.value.pace.judge(time, at: now, hasWaited: work.value.hasResumed)
    work.value.hasResumed = false
    counters.pace.take(work.value.pace)
    switch verdict {
    case .leaveOut: return false
    case .now: return !isStopping
    case .due(let due):
      // A live stream that comes faster than assumed, or in the long run than it states, is followed, or its backlog would grow.
      let patience: Int64 = work.value.statesRate ? .seconds(2) : .milliseconds(300)
      if mode == .auto, let feed, feed.growsSteadily(at: now, since: patience) {
        work.value.pace.set(time, at: now)
        return !isStopping
      }
      pause(until: due)
      return !isStopping
    }
  }

  private func waitsForRoom(_ time: Int64) -> Bool {
    if work.value.pace.base == nil { work.value.pace.set(time, at: Clock.now()) }
    environment.room.wait(until: { node.output.hasRoom }, cancelled: { isStopping })
    return !isStopping
  }
}

/// The door through which a decoder hands over its pictures.
struct VdecSink: FrameSink, ~Copyable {
  let run: VdecRun
  mutating func picture(_ frame: consuming Frame) { run.came(frame) }
  mutating func lost(_ pts: Int64, _ why: Failure) { run.lost(pts, why) }
}
