// SPDX-License-Identifier: Apache-2.0

/// The coded pictures a decoder was given and has not answered for. Pictures come out in another order than they went
/// in, so each has a number, which the decoder carries in place of its time. A ring of fixed size.
struct UnitLedger: ~Copyable {
  static let capacity = 64

  private struct Entry {
    /// Its picture is still to come.
    var isOpen = false
    var pts: Int64?
    var duration: Int64 = 0
    var takenAt: Int64 = 0
  }

  /// What was noted of a coded picture.
  struct Unit {
    var pts: Int64?
    /// Microseconds; 0 where unknown.
    var duration: Int64
    /// When it was given to the decoder, CLOCK_MONOTONIC nanoseconds.
    var takenAt: Int64
  }

  private let entries = UnsafeMutablePointer<Entry>.allocate(capacity: UnitLedger.capacity)
  private var next: Int64 = 0
  /// Pictures still to come.
  private(set) var open = 0

  init() { entries.initialize(repeating: Entry(), count: UnitLedger.capacity) }

  deinit { entries.deallocate() }

  /// - Returns: the number of the unit, and whether the oldest one was given up for it: no decoder holds back so many.
  mutating func enter(pts: Int64?, duration: Int64, at now: Int64) -> (number: Int64, lost: Bool) {
    let slot = Int(next % Int64(UnitLedger.capacity))
    let lost = entries[slot].isOpen
    entries[slot] = Entry(isOpen: true, pts: pts, duration: duration, takenAt: now)
    if !lost { open += 1 }
    next += 1
    return (next - 1, lost)
  }

  /// The picture of a unit came out, or never will. `nil` when it was answered for before, or is none of these.
  mutating func settle(_ number: Int64) -> Unit? {
    guard number >= 0, number < next, next - number <= Int64(UnitLedger.capacity) else { return nil }
    let slot = Int(number % Int64(UnitLedger.capacity))
    guard entries[slot].isOpen else { return nil }
    entries[slot].isOpen = false
    open -= 1
    return Unit(pts: entries[slot].pts, duration: entries[slot].duration, takenAt: entries[slot].takenAt)
  }

  /// Nothing more comes of what is inside.
  /// - Parameter body: gets each of what was inside, oldest first.
  /// - Returns: how many that were.
  @discardableResult
  mutating func removeAll(_ body: (DroppedFrame) -> Void = { _ in }) -> Int {
    defer { open = 0 }
    for number in max(0, next - Int64(UnitLedger.capacity))..<next {
      let slot = Int(number % Int64(UnitLedger.capacity))
      if entries[slot].isOpen { body(DroppedFrame(number: UInt64(number), pts: entries[slot].pts ?? .min)) }
      entries[slot].isOpen = false
    }
    return open
  }
}
