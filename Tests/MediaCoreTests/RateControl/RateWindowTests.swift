// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

@Suite(.ownThread) struct RateWindowTests {
  /// Against an account that keeps everything.
  @Test(arguments: [1_000_000, 250_000, 60_000_000] as [Int64])
  func theWindowIsExactlyWhatItsLengthSays(length: Int64) {
    var numbers = SystemRandomNumberGenerator()
    var window = RateWindow(length: length)
    var all: [(time: Int64, bits: Double)] = []
    var time: Int64 = 0
    for _ in 0..<3000 {
      time += Int64.random(in: 1...90_000, using: &numbers)
      let bits = Double(Int.random(in: 0...200_000, using: &numbers))
      window.add(bits, at: time)
      all.append((time, bits))
      if Int.random(in: 0..<4, using: &numbers) == 0 {
        window.correct(by: 1000, at: time)
        all[all.count - 1].bits += 1000
      }
      let inside = all.filter { $0.time > time - length }
      #expect(window.total == inside.map(\.bits).reduce(0, +))
      #expect(window.pictures == inside.count)
      let later = time - Int64.random(in: 0...length, using: &numbers)
      #expect(window.bits(after: later) == inside.filter { $0.time > later }.map(\.bits).reduce(0, +))
    }
    #expect(window.crowdedOut == 0)
  }

  @Test func aShorterWindowLeavesOutWhatIsOlder() {
    var window = RateWindow(length: 1_000_000)
    for number in 0..<10 { window.add(10, at: Int64(number) * 100_000) }
    window.setLength(300_000)
    #expect(window.total == 30 && window.pictures == 3)
  }

  @Test func aCorrectionOfWhatHasLeftChangesNothing() {
    var window = RateWindow(length: 100)
    window.add(10, at: 0)
    window.add(20, at: 500)
    window.correct(by: 5, at: 0)
    #expect(window.total == 20)
  }

  /// 400 frames a second for a minute are more than it keeps: it says so.
  @Test func whatIsCrowdedOutIsCounted() {
    var window = RateWindow(length: 60_000_000)
    for number in 0..<20_000 { window.add(1, at: Int64(number) * 2_500) }
    #expect(window.pictures == 1 << 14 && window.crowdedOut == 20_000 - 1 << 14)
  }
}
