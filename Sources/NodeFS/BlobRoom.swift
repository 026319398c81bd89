// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Bytes that all blobs which are being written may hold together: a writer that stays open holds what it has written.
public final class BlobRoom: Sendable {
  public let bytes: Int
  private let held = Atomic<Int>(0)

  public init(bytes: Int) { self.bytes = bytes }

  /// - Returns: false when there is no room for so many more.
  func take(_ count: Int) -> Bool {
    guard held.add(count, ordering: .relaxed).newValue <= bytes else {
      giveBack(count)
      return false
    }
    return true
  }

  func giveBack(_ count: Int) { held.subtract(count, ordering: .relaxed) }
}
