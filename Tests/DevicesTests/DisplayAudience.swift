// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import Synchronization

@testable import Devices

/// Counts what becomes of frames.
final class Audience: DisplayListener {
  struct Seen {
    var shown: [Int64] = []
    var dropped: [DisplayDrop] = []
    var conditions: [DisplayCondition] = []
  }
  private let seen = Mutex(Seen())
  var now: Seen { seen.withLock { $0 } }

  func shown(_ frame: borrowing Frame, at time: Int64) {
    let pts = frame.pts
    seen.withLock { $0.shown.append(pts) }
  }
  func dropped(_ cause: DisplayDrop) { seen.withLock { $0.dropped.append(cause) } }
  func changed(_ condition: DisplayCondition) { seen.withLock { $0.conditions.append(condition) } }
  func noted(_ text: String) {}

  var lastFailure: Failure? {
    if case .failed(let failure)? = now.conditions.last { return failure }
    return nil
  }
}
