// SPDX-License-Identifier: Apache-2.0
public import MediaCore
import Synchronization

/// An object and which one of those that had its path.
public struct ObjectIdentity: Sendable, Hashable {
  public let path: ObjectPath
  /// Unique in the process; an object made again under the same path has another.
  public let generation: UInt64

  public init(path: ObjectPath, generation: UInt64) {
    self.path = path
    self.generation = generation
  }

  init(_ object: any ModuleObject) {
    self.init(path: object.path, generation: object.generation)
  }
}

/// Objects that came or went in one transaction; what was removed comes outputs first, what was made comes groups first.
public struct ObjectsChange: Sendable, Equatable {
  public var created: [ObjectIdentity]
  public var removed: [ObjectIdentity]
}

/// Tells one listener about objects that came and went: every change once, in the order they were made, one at a time,
/// and before the writer is answered, so that `mkdir` returns when the directory is there.
///
/// No lock is held while the listener runs, so it may read from the runtime.
final class Announcements: Sendable {
  /// Stands for a place in the queue.
  struct Ticket: Sendable { fileprivate let number: UInt64 }

  private struct Item {
    let number: UInt64
    let change: ObjectsChange
    let retiring: [any ModuleObject]
    var then: (@Sendable () -> Void)?
    var isReady = false
  }
  private struct State {
    var queue: [Item] = []
    var next: UInt64 = 0
    var isDelivering = false
    var listener: (@Sendable (ObjectsChange) -> Void)?
  }
  private let state = Mutex(State())

  func listen(_ listener: @escaping @Sendable (ObjectsChange) -> Void) { state.withLock { $0.listener = listener } }

  /// Takes a place in the queue. Called under the lock that orders the changes.
  func enqueue(_ change: ObjectsChange, retiring: [any ModuleObject]) -> Ticket {
    state.withLock { state in
      let number = state.next
      state.next += 1
      state.queue.append(Item(number: number, change: change, retiring: retiring))
      return Ticket(number: number)
    }
  }

  /// Delivers what the ticket stands for, then calls `then`; if others are in front, whoever delivers them does it.
  /// Without a ticket, only calls `then`.
  func deliver(_ ticket: Ticket?, then: @escaping @Sendable () -> Void) {
    guard let ticket else {
      then()
      return
    }
    let isMine = state.withLock { state in
      if let index = state.queue.firstIndex(where: { $0.number == ticket.number }) {
        state.queue[index].then = then
        state.queue[index].isReady = true
      }
      if state.isDelivering { return false }
      state.isDelivering = true
      return true
    }
    guard isMine else { return }
    while true {
      let (item, listener): (Item?, (@Sendable (ObjectsChange) -> Void)?) = state.withLock { state in
        // The one in front may still be between taking its ticket and coming here; it will go on then.
        guard state.queue.first?.isReady == true else {
          state.isDelivering = false
          return (nil, nil)
        }
        return (state.queue.removeFirst(), state.listener)
      }
      guard let item else { return }
      for object in item.retiring { object.retire() }
      listener?(item.change)
      item.then?()
    }
  }
}
