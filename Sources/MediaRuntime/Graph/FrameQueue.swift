// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Synchronization

/// A bounded queue of frames between two threads. One thread puts in at a time and one takes out at a time; which these
/// are is settled by the port (its counter block) and by the session.
///
/// Ownership: owns the frames in it and its memory; nothing is allocated after `init`.
struct FrameQueue: ~Copyable, @unchecked Sendable {
  /// Frames it holds at most.
  let depth: Int
  private let mask: Int
  private let slots: UnsafeMutablePointer<Frame>
  /// Positions on cache lines of their own: [0] taken by the consumer, [16] put by the producer.
  private let positions: UnsafeMutablePointer<Atomic<Int>>
  private static let spacing = 16

  init(depth: Int) {
    self.depth = depth
    var capacity = 1
    while capacity < depth { capacity *= 2 }
    mask = capacity - 1
    slots = .allocate(capacity: capacity)
    let raw = UnsafeMutableRawPointer.allocate(byteCount: 2 * 128, alignment: 128)
    positions = raw.bindMemory(to: Atomic<Int>.self, capacity: 2 * Self.spacing)
    for index in 0..<2 * Self.spacing { (positions + index).initialize(to: Atomic(0)) }
  }

  deinit {
    while let frame = pop() { _ = consume frame }
    positions.deinitialize(count: 2 * Self.spacing)
    UnsafeMutableRawPointer(positions).deallocate()
    slots.deallocate()
  }

  var count: Int {
    let taken = positions[0].load(ordering: .relaxed)
    return max(0, positions[Self.spacing].load(ordering: .relaxed) - taken)
  }

  @inline(__always) var isFull: Bool {
    positions[Self.spacing].load(ordering: .relaxed) &- positions[0].load(ordering: .acquiring) >= depth
  }

  /// Only when `isFull` was false for the one who puts in.
  @inline(__always) func push(_ frame: consuming Frame) {
    let put = positions[Self.spacing].load(ordering: .relaxed)
    (slots + (put & mask)).initialize(to: frame)
    positions[Self.spacing].store(put &+ 1, ordering: .releasing)
  }

  @inline(__always) func pop() -> Frame? {
    let taken = positions[0].load(ordering: .relaxed)
    guard taken != positions[Self.spacing].load(ordering: .acquiring) else { return nil }
    let frame = (slots + (taken & mask)).move()
    positions[0].store(taken &+ 1, ordering: .releasing)
    return frame
  }
}
