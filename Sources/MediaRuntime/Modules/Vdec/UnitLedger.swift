// SPDX-License-Identifier: Apache-2.0

/// The coded pictures a decoder was given and has not answered for. Pictures come out in another order than they went
/// in, so each has a number, which the decoder carries in place of its time. A ring of fixed size.
struct UnitLedger: ~Copyable {
  static let capacity = 64

  private struct Entry {
    /// Its picture was not given yet.
    var isOpen = false
    /// The decoder has given its picture.
    var hasCome = false
    var isKey = false
    var unit = Unit()
  }

  /// What was noted of a coded picture.
  struct Unit {
    var pts: Int64?
    /// Microseconds; 0 where unknown.
    var duration: Int64 = 0
    /// When it was given to the decoder, CLOCK_MONOTONIC nanoseconds.
    var takenAt: Int64 = 0
    /// When its bytes had come to `feed`.
    var cameAt: Int64?
    /// Nanoseconds the decoder had worked by then.
    var worked: Int64 = 0
    /// It refers to one that was lost, and is not shown.
    var isSpoilt = false
    /// It is damaged, or refers to what is damaged or was lost or never there: where it is shown, it is counted.
    var isHurt = false
    /// Others may refer to it.
    var isReference = true

    /// - Parameter number: of the unit, as ``UnitLedger/enter(_:isKey:)`` gave it.
    func name(_ number: Int64) -> DroppedFrame { DroppedFrame(number: UInt64(max(0, number)), pts: pts ?? .min) }
  }

  private let entries = UnsafeMutablePointer<Entry>.allocate(capacity: UnitLedger.capacity)
  private var next: Int64 = 0
  /// Pictures still to come.
  private(set) var open = 0
  /// Some of them may be hurt.
  private var hasHurt = false

  init() { entries.initialize(repeating: Entry(), count: UnitLedger.capacity) }

  deinit { entries.deallocate() }

  /// - Returns: the number of the unit, and the oldest one where it was given up for it: no decoder holds back so many.
  mutating func enter(_ unit: Unit, isKey: Bool) -> (number: Int64, lost: Unit?) {
    let slot = Int(next % Int64(UnitLedger.capacity))
    let lost = entries[slot].isOpen ? entries[slot].unit : nil
    entries[slot] = Entry(isOpen: true, isKey: isKey, unit: unit)
    if lost == nil { open += 1 }
    if unit.isHurt { hasHurt = true }
    next += 1
    return (next - 1, lost)
  }

  /// Where one that is inside has its place; `nil` when it was answered for before, or is none of these.
  private func slot(_ number: Int64) -> Int? {
    guard number >= 0, number < next, next - number <= Int64(UnitLedger.capacity) else { return nil }
    let slot = Int(number % Int64(UnitLedger.capacity))
    return entries[slot].isOpen ? slot : nil
  }

  /// The decoder gives the picture of a unit, which stays inside until it is given on.
  mutating func came(_ number: Int64) -> Unit? {
    guard let slot = slot(number) else { return nil }
    entries[slot].hasCome = true
    return entries[slot].unit
  }

  /// The picture of a unit is given on, or never will be. `nil` when it was answered for before, or is none of these.
  mutating func settle(_ number: Int64) -> Unit? {
    guard let slot = slot(number) else { return nil }
    entries[slot].isOpen = false
    open -= 1
    return entries[slot].unit
  }

  /// One was lost: those given after it, up to the next key picture, refer to it.
  /// - Parameter areShown: where the decoder makes something of them all the same.
  /// - Returns: whether a key picture is inside already.
  mutating func spoil(after number: Int64, areShown: Bool = false) -> Bool {
    for later in max(number + 1, next - Int64(UnitLedger.capacity))..<max(number + 1, next) {
      let slot = Int(later % Int64(UnitLedger.capacity))
      if entries[slot].isKey { return true }
      if areShown { entries[slot].unit.isHurt = true } else { entries[slot].unit.isSpoilt = true }
      if areShown { hasHurt = true }
    }
    return false
  }

  /// A whole picture has come: what refers to something that was never there and was given before it is shown before it, or
  /// never.
  /// - Parameter body: gets each of those, oldest first.
  mutating func removeHurt(before number: Int64, _ body: (DroppedFrame, Unit) -> Void) {
    guard hasHurt else { return }
    hasHurt = false
    for each in max(0, next - Int64(UnitLedger.capacity))..<next {
      guard let slot = slot(each), !entries[slot].hasCome, entries[slot].unit.isHurt else { continue }
      guard each < number else {
        hasHurt = true
        continue
      }
      entries[slot].isOpen = false
      open -= 1
      body(entries[slot].unit.name(each), entries[slot].unit)
    }
  }

  /// Nothing more comes of what is inside.
  /// - Parameters:
  ///   - keeping: those whose pictures have come stay, to be given on.
  ///   - body: gets each of the others, oldest first.
  mutating func removeAll(keeping: Bool = false, _ body: (DroppedFrame, Unit) -> Void) {
    for number in max(0, next - Int64(UnitLedger.capacity))..<next {
      guard let slot = slot(number), !keeping || !entries[slot].hasCome else { continue }
      entries[slot].isOpen = false
      open -= 1
      let unit = entries[slot].unit
      body(unit.name(number), unit)
    }
  }
}
