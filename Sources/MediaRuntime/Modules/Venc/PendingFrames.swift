// SPDX-License-Identifier: Apache-2.0

/// The frames an engine was given and has not answered for, oldest first. A ring of fixed size.
struct PendingFrames: ~Copyable {
  static let capacity = 64

  struct Entry {
    var pts: Int64
    /// Number the source gave it.
    var number: UInt64
    /// When the engine was given it, and how long it had waited for that, CLOCK_MONOTONIC nanoseconds.
    var start: Int64
    var wait: Int64

    var name: DroppedFrame { DroppedFrame(number: number, pts: pts) }
  }

  private let slots = UnsafeMutablePointer<Entry>.allocate(capacity: PendingFrames.capacity)
  private var first = 0
  private(set) var count = 0

  deinit { slots.deallocate() }

  var isFull: Bool { count == PendingFrames.capacity }
  var oldest: Entry? { count > 0 ? slots[first] : nil }

  /// Only when it is not full.
  mutating func append(_ entry: Entry) {
    slots[(first + count) % PendingFrames.capacity] = entry
    count += 1
  }

  mutating func removeLast() -> Entry? {
    guard count > 0 else { return nil }
    count -= 1
    return slots[(first + count) % PendingFrames.capacity]
  }

  mutating func removeFirst() -> Entry? {
    guard count > 0 else { return nil }
    defer {
      first = (first + 1) % PendingFrames.capacity
      count -= 1
    }
    return slots[first]
  }

  /// Frames older than the one with this pts; `nil` when it is not there.
  func older(than pts: Int64) -> Int? {
    for index in 0..<count where slots[(first + index) % PendingFrames.capacity].pts == pts { return index }
    return nil
  }
}
