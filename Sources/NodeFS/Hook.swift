// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A closure that is set later than the place it is called from is made.
final class Hook: Sendable {
  private let body = Mutex<(@Sendable () -> Void)?>(nil)
  func set(_ new: (@Sendable () -> Void)?) { body.withLock { $0 = new } }
  func call() { body.withLock { $0 }?() }
}
