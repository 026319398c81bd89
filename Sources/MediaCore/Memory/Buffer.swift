// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Index of a user of buffers (a node of the graph) in every buffer's table of uses; 0..<64.
///
/// A node gets one when it is made and keeps it for its life. Slot 0 is "nobody in particular", and all for whom there was no
/// other place: of those a buffer only says how often they hold it.
public struct UserSlot: RawRepresentable, Sendable, Hashable {
  public static let count = 64
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue & 63 }
  public static let anonymous = UserSlot(rawValue: 0)
}

/// Takes a buffer back when its last use has ended: a pool, or a device that gets the buffer queued again.
public protocol BufferOwner: AnyObject, Sendable {
  /// Called on whatever thread dropped the last reference; must not block.
  func recycle(_ buffer: Buffer)
}

/// One buffer of picture memory and who is using it.
///
/// Life: made once by its owner, then handed out and taken back without allocation. `references` counts the live
/// ``BufferRef`` values; with the last one the buffer goes home through ``BufferOwner/recycle(_:)``. The table of uses
/// says which node holds it how often, which is what makes a leak attributable.
public final class Buffer: Sendable {
  /// Unique in the process, never reused.
  public let id: UInt32
  public let memory: any Memory
  /// Memories of further planes where a device keeps them apart; they live and die with this buffer.
  public let linked: [any Memory]
  /// Usable bytes: the pool's size, at most `memory.size`.
  public let size: Int
  /// Index inside the owner (the V4L2 buffer index for device buffers).
  public let index: Int
  private let owner: any BufferOwner
  private let count = Atomic<Int32>(0)
  // Sendable by hand: the pointer never changes and what it points to is atomic.
  private nonisolated(unsafe) let uses: UnsafeMutablePointer<Atomic<UInt16>>

  private static let nextID = Atomic<UInt32>(0)

  public init(memory: any Memory, linked: [any Memory] = [], size: Int, index: Int, owner: any BufferOwner) {
    self.id = Buffer.nextID.add(1, ordering: .relaxed).oldValue
    self.memory = memory
    self.linked = linked
    self.size = size
    self.index = index
    self.owner = owner
    self.uses = .allocate(capacity: UserSlot.count)
    for slot in 0..<UserSlot.count { (uses + slot).initialize(to: Atomic(0)) }
  }

  deinit {
    uses.deinitialize(count: UserSlot.count)
    uses.deallocate()
  }

  /// Live references; 0 means idle with its owner.
  public var references: Int { Int(count.load(ordering: .relaxed)) }

  /// Whoever asks holds the only reference. Acquires, so that nothing he writes then comes before what others read.
  public var isHeldOnce: Bool { count.load(ordering: .acquiring) == 1 }

  /// How often the user holds this buffer now.
  public func uses(by user: UserSlot) -> Int { Int(uses[Int(user.rawValue)].load(ordering: .relaxed)) }

  /// The first reference to an idle buffer. For owners only.
  public func take(as user: UserSlot) -> BufferRef {
    retainUse(user)
    return BufferRef(buffer: self, user: user)
  }

  fileprivate func retainUse(_ user: UserSlot) {
    count.add(1, ordering: .relaxed)
    uses[Int(user.rawValue)].add(1, ordering: .relaxed)
  }

  fileprivate func releaseUse(_ user: UserSlot) {
    uses[Int(user.rawValue)].subtract(1, ordering: .relaxed)
    // Release so that the last holder sees every write made through other references.
    if count.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { owner.recycle(self) }
  }

  fileprivate func moveUse(from old: UserSlot, to new: UserSlot) {
    guard old != new else { return }
    uses[Int(new.rawValue)].add(1, ordering: .relaxed)
    uses[Int(old.rawValue)].subtract(1, ordering: .relaxed)
  }
}

extension Buffer {
  /// Opens all of its memories to the CPU; ``endCPUAccess(write:)`` follows.
  public func beginCPUAccess(write: Bool) throws(Failure) {
    try memory.beginCPUAccess(write: write)
    for memory in linked { try memory.beginCPUAccess(write: write) }
  }

  public func endCPUAccess(write: Bool) throws(Failure) {
    try memory.endCPUAccess(write: write)
    for memory in linked { try memory.endCPUAccess(write: write) }
  }

  /// The memory a plane lies in; `nil` for one that names none of them: layouts come from devices and files.
  public func memory(of plane: Plane) -> (any Memory)? {
    let index = Int(plane.memory)
    guard index >= 0, index <= linked.count else { return nil }
    return index == 0 ? memory : linked[index - 1]
  }
}

/// One use of a buffer by one user. Ends when the value is consumed or goes out of scope.
public struct BufferRef: ~Copyable, Sendable {
  public let buffer: Buffer
  public private(set) var user: UserSlot

  fileprivate init(buffer: Buffer, user: UserSlot) {
    self.buffer = buffer
    self.user = user
  }

  /// Another use of the same buffer.
  public func share(as user: UserSlot) -> BufferRef {
    buffer.retainUse(user)
    return BufferRef(buffer: buffer, user: user)
  }

  /// Charges this use to another user, when a frame is handed from one node to the next.
  public mutating func move(to new: UserSlot) {
    buffer.moveUse(from: user, to: new)
    user = new
  }

  deinit { buffer.releaseUse(user) }
}
