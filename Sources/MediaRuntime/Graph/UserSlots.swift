// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization

/// Who has which place in every buffer's table of uses.
///
/// A node keeps its place for life. The place of a removed node is given away again only when no other is left and no buffer is
/// charged to it any more, so that what it left behind stays its own.
final class UserSlots: Sendable {
  struct User: Sendable {
    var name: String
    var node: Int
    var isGone: Bool
  }

  private let table = Published<[User?]>(Array(repeating: nil, count: UserSlot.count))
  private let change = Mutex<Void>(())

  var users: [User?] { table.value }

  /// A place, or the shared anonymous one when all are taken.
  /// - Parameter holds: whether a buffer is charged to that place.
  func take(unless holds: (UserSlot) -> Bool = { _ in false }) -> UserSlot {
    change.withLock { _ in
      var users = table.value
      let free =
        (1..<users.count).first { users[$0] == nil }
        ?? (1..<users.count).first { users[$0]?.isGone == true && !holds(UserSlot(rawValue: UInt8($0))) }
      guard let free else { return .anonymous }
      users[free] = User(name: "", node: 0, isGone: false)
      table.store(users)
      return UserSlot(rawValue: UInt8(free))
    }
  }

  func name(_ slot: UserSlot, _ name: String, node: Int) {
    guard slot != .anonymous else { return }
    set(slot, User(name: name, node: node, isGone: false))
  }

  func leave(_ slot: UserSlot) {
    guard slot != .anonymous, var user = users[Int(slot.rawValue)] else { return }
    user.isGone = true
    set(slot, user)
  }

  private func set(_ slot: UserSlot, _ user: User) {
    change.withLock { _ in
      var users = table.value
      users[Int(slot.rawValue)] = user
      table.store(users)
    }
  }
}
