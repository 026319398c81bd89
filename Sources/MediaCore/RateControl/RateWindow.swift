// SPDX-License-Identifier: Apache-2.0

/// The bits of the last so many microseconds, by the pictures' time stamps: from a picture on, exactly those that are not older than
/// the window is long. The account that a stream's rate is held by.
public struct RateWindow: Sendable {
  private struct Entry {
    var time: Int64
    var bits: Double
  }
  /// Length in microseconds.
  public private(set) var length: Int64
  private var entries: [Entry]
  private var first = 0
  private var count = 0
  /// Bits of all that is in the window.
  public private(set) var total = 0.0
  /// Pictures that left it before their time because it was full of pictures; 0 for every rate up to 240 frames a second and a minute.
  public private(set) var crowdedOut = 0

  private static let most = 1 << 14

  public init(length: Int64) {
    self.length = max(1, length)
    entries = [Entry](repeating: Entry(time: 0, bits: 0), count: 64)
  }

  public var pictures: Int { count }

  private func index(_ number: Int) -> Int { (first + number) & (entries.count - 1) }

  public mutating func removeAll() { (first, count, total) = (0, 0, 0) }

  /// Another length keeps what it has of it.
  public mutating func setLength(_ new: Int64) {
    length = max(1, new)
    if count > 0 { removeOld(at: entries[index(count - 1)].time) }
  }

  /// Leaves out what is outside of a window that ends with a picture of this time.
  private mutating func removeOld(at time: Int64) {
    while count > 0, entries[first].time <= time - length { removeFirst() }
  }

  private mutating func removeFirst() {
    total = count == 1 ? 0 : total - entries[first].bits
    first = index(1)
    count -= 1
  }

  /// A picture was coded. One that is older than the last, as after a source began anew, begins the account anew.
  public mutating func add(_ bits: Double, at time: Int64) {
    if count > 0, time < entries[index(count - 1)].time { removeAll() }
    removeOld(at: time)
    if count == entries.count {
      if count < Self.most {
        grow()
      } else {
        removeFirst()
        crowdedOut += 1
      }
    }
    entries[index(count)] = Entry(time: time, bits: bits)
    count += 1
    total += bits
  }

  /// The newest picture turned out to have cost something else than it was entered with.
  public mutating func correct(by bits: Double, at time: Int64) {
    var number = count - 1
    while number >= 0, entries[index(number)].time > time { number -= 1 }
    guard number >= 0, entries[index(number)].time == time else { return }
    entries[index(number)].bits += bits
    total += bits
  }

  private mutating func grow() {
    let old = (0..<count).map { entries[index($0)] }
    entries = old + [Entry](repeating: Entry(time: 0, bits: 0), count: old.count)
    first = 0
  }

  /// Bits of what is later than a time.
  public func bits(after time: Int64) -> Double {
    var sum = total
    for number in 0..<count {
      let entry = entries[index(number)]
      guard entry.time <= time else { break }
      sum -= entry.bits
    }
    return max(0, sum)
  }

  /// The least of what `value` says of the windows that end with the pictures to come, of which each is `interval` later.
  /// - Parameters:
  ///   - time: of the next picture.
  ///   - value: how many pictures to come the window has, and what it has of those that came.
  func least(from time: Int64, interval: Int64, _ value: (_ coming: Int, _ before: Double) -> Double) -> Double {
    let reach = max(1, Int(length / max(1, interval)))
    // Long windows are looked at in steps: the figures of neighbours hardly differ.
    let step = max(1, reach / 64)
    var (sum, number, least) = (total, 0, Double.infinity)
    var coming = 1
    while coming <= reach {
      let start = time + Int64(coming - 1) * interval - length
      while number < count, entries[index(number)].time <= start {
        sum -= entries[index(number)].bits
        number += 1
      }
      least = min(least, value(coming, max(0, sum)))
      coming += step
    }
    return least
  }
}
