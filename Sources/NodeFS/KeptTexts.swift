// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Synchronization

/// The texts that open descriptors keep, bounded in sum: a descriptor costs its owner nothing, and each may hold as much as
/// the longest text. Beyond the bound the oldest is given up.
///
/// Who owns the tree has a share of his own, so that other users cannot take his texts away.
final class KeptTexts: Sendable {
  /// Bytes kept for the owner of the tree, and again for all other users together.
  static let most = 8 << 20

  private struct Entry {
    weak var handle: TextHandle?
    let bytes: Int
    let isOwners: Bool
  }

  private struct Share {
    var bytes = 0
    /// Places in the order they were given out; those that are no entries any more are skipped.
    var order: Deque<UInt64> = []
  }

  private struct State {
    var entries: [UInt64: Entry] = [:]
    var last: UInt64 = 0
    var owners = Share()
    var others = Share()

    /// Keeps the order from growing with places that are none any more.
    mutating func forgetPlaces(of share: WritableKeyPath<State, Share>) {
      guard self[keyPath: share].order.count > 2 * entries.count + 64 else { return }
      let places = entries
      self[keyPath: share].order.removeAll { places[$0] == nil }
    }
  }

  private let state = Mutex(State())
  private let owner: UInt32

  /// - Parameter owner: user id of the tree's owner.
  init(owner: UInt32) { self.owner = owner }

  /// Bytes that are kept now.
  var bytes: Int { state.withLock { $0.owners.bytes + $0.others.bytes } }

  /// Counts a text of `handle`, and has older ones given up where it is too much.
  /// - Returns: its place, for `remove`.
  func add(_ handle: TextHandle, bytes: Int) -> UInt64 {
    let isOwners = handle.opener.uid == owner
    let share = isOwners ? \State.owners : \State.others
    let (place, given): (UInt64, [(TextHandle?, UInt64)]) = state.withLock { state in
      state.last += 1
      let place = state.last
      state.entries[place] = Entry(handle: handle, bytes: bytes, isOwners: isOwners)
      state[keyPath: share].bytes += bytes
      state[keyPath: share].order.append(place)
      var given: [(TextHandle?, UInt64)] = []
      while state[keyPath: share].bytes > Self.most, let oldest = state[keyPath: share].order.first, oldest != place {
        state[keyPath: share].order.removeFirst()
        guard let entry = state.entries.removeValue(forKey: oldest) else { continue }
        state[keyPath: share].bytes -= entry.bytes
        given.append((entry.handle, oldest))
      }
      state.forgetPlaces(of: share)
      return (place, given)
    }
    for (handle, place) in given { handle?.giveUp(place) }
    return place
  }

  /// The text at that place is no longer kept.
  func remove(_ place: UInt64) {
    state.withLock { state in
      guard let entry = state.entries.removeValue(forKey: place) else { return }
      if entry.isOwners { state.owners.bytes -= entry.bytes } else { state.others.bytes -= entry.bytes }
    }
  }
}
