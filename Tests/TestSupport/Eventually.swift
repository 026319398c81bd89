// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How long a test waits, in seconds, for what is to come and, if all is well, does come: a bound for what never does, not a
/// time anything is measured by. Generous enough for one busy core, and below every test's own limit.
public let patience: Double = 120

/// Waits for what another thread or process brings about, looking again with a growing pause.
/// - Parameters:
///   - seconds: how long to wait for what never comes.
///   - longestPause: between two looks, in microseconds; more where a look costs something.
/// - Returns: false when the condition did not come true.
public func eventually(
  within seconds: Double = patience, longestPause: UInt32 = 2_000, _ condition: () throws -> Bool
) rethrows -> Bool {
  let deadline = ContinuousClock.now + .seconds(seconds)
  var pause: UInt32 = min(100, longestPause)
  while true {
    if try condition() { return true }
    if ContinuousClock.now > deadline { return try condition() }
    usleep(pause)
    pause = min(pause * 2, longestPause)
  }
}
