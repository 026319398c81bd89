// SPDX-License-Identifier: Apache-2.0

/// Pts of the frames an engine was given and has not answered for, oldest first. A ring of fixed size.
struct PendingFrames: ~Copyable {
  static let capacity = 64
  private let slots = UnsafeMutablePointer<Int64>.allocate(capacity: PendingFrames.capacity)
  private var first = 0
  private(set) var count = 0

  deinit { slots.deallocate() }

  var isFull: Bool { count == PendingFrames.capacity }

  /// Only when it is not full.
  mutating func append(_ pts: Int64) {
    slots[(first + count) % PendingFrames.capacity] = pts
    count += 1
  }

  mutating func removeLast() {
    if count > 0 { count -= 1 }
  }

  mutating func removeFirst(_ number: Int) {
    let number = min(number, count)
    first = (first + number) % PendingFrames.capacity
    count -= number
  }

  mutating func removeAll() { count = 0 }

  /// Frames older than the one with this pts; `nil` when it is not there.
  func older(than pts: Int64) -> Int? {
    for index in 0..<count where slots[(first + index) % PendingFrames.capacity] == pts { return index }
    return nil
  }
}
