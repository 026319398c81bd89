// SPDX-License-Identifier: Apache-2.0

/// The time of a stream's pictures for a rate control: moments that never go back, whatever a source does, and the distance
/// from picture to picture. All in microseconds.
struct PictureClock: Sendable {
  private(set) var moment: Int64 = 0
  private(set) var interval: Double
  private var last: Int64?

  init(framesPerSecond: Double) { interval = 1e6 / framesPerSecond }

  /// Other pictures a second are announced.
  mutating func expect(framesPerSecond: Double) { interval = 1e6 / framesPerSecond }

  /// The next picture has this time stamp.
  /// - Returns: how much time passed since the one before; `nil` for the first.
  mutating func advance(to time: Int64) -> Int64? {
    defer { last = time }
    guard let last else { return nil }
    let stamped = time - last
    let passed = stamped > 0 ? stamped : Int64(interval)
    moment += max(1, passed)
    if stamped > 0, Double(stamped) < 8 * interval { interval += 0.1 * (Double(stamped) - interval) }
    return passed
  }
}
