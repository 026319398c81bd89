// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Brings home a device that takes a bitrate and misses it: measures what the stream has, and asks for so much more or less. A device
/// that gives two to four times of what is asked, or half, is met with the second question; one that does not answer to questions is asked
/// for what is wanted again, and said to be deaf.
///
/// The rate is estimated from the mean of predicted pictures and the newest key picture, so that a second is enough whatever the group.
/// After a question a second is let pass: encoders have a buffer of about that, and drivers hand some things over late. All times are the
/// stream's, in microseconds.
public struct BitrateSupervisor: Sendable {
  public enum Finding: Sendable, Equatable {
    /// Not enough has come to tell.
    case measuring
    /// What comes is what is wanted, within the tolerance.
    case met
    /// It was asked for something else, to come to what is wanted.
    case correcting
    /// Its rate does not follow what it is asked for.
    case deaf
  }

  /// Share by which a rate may miss without a question.
  public static let tolerance = 0.03
  /// How far from what is wanted it may be asked.
  static let reach = 8.0
  /// Who misses by less is measured for four seconds.
  static let coarse = 0.15
  static let settling: Int64 = 1_000_000
  static let measuring: Int64 = 1_000_000
  /// A deaf one is tried again after so long: another scene may be what it needed.
  static let patience: Int64 = 20_000_000
  private static let deafAfter = 3

  /// Bits a second wanted, and asked for.
  public private(set) var wanted: Double
  public private(set) var asked: Double
  /// Bits a second that came by the last measurement.
  public private(set) var measured: Double?
  public private(set) var finding = Finding.measuring
  private let range: ClosedRange<Double>
  private var gop: Double

  private var startsAt: Int64?
  private var endsAt: Int64?
  private var lastTime: Int64 = 0
  private var began: Int64 = 0
  /// What came since, the picture it began with left out: between two pictures there is one.
  private var predicted = (bits: 0.0, count: 0.0)
  private var pictures = 0.0
  /// Bits of the newest key picture for each bit a second that was asked for then.
  private var keyShare: Double?
  /// What the question before came to, for what it was.
  private var before: (asked: Double, measured: Double)?
  private var unmoved = 0
  private var lastStep = 0.0
  private var gain = 1.0

  /// - Parameter range: bits a second the device takes.
  public init(wanted: Double, gop: Int, range: ClosedRange<Double> = 1...1e9) {
    self.wanted = wanted
    asked = min(range.upperBound, max(range.lowerBound, wanted))
    self.gop = Double(max(1, gop))
    self.range = range
  }

  /// Other wishes: what was learned of the device holds for them too, as a ratio.
  public mutating func change(wanted new: Double, gop: Int) {
    self.gop = Double(max(1, gop))
    guard new != wanted else { return }
    let ratio = finding == .deaf ? 1 : asked / wanted
    wanted = new
    ask(new * ratio)
    (finding, unmoved, before, lastStep, gain) = (.measuring, 0, nil, 0, 1)
  }

  private mutating func ask(_ bits: Double) {
    let reach =
      max(
        wanted / Self.reach, range.lowerBound)...max(
        wanted / Self.reach, range.lowerBound, min(wanted * Self.reach, range.upperBound))
    asked = min(reach.upperBound, max(reach.lowerBound, bits))
    startsAt = lastTime + Self.settling
    endsAt = nil
    predicted = (0, 0)
  }

  /// A picture came.
  /// - Returns: whether something else is to be asked from now on.
  public mutating func coded(isKey: Bool, bits: Double, at time: Int64) -> Bool {
    if startsAt == nil || time < lastTime { (startsAt, endsAt, predicted) = (time, nil, (0, 0)) }
    lastTime = time
    guard let startsAt, time >= startsAt else {
      return false
    }
    if isKey { keyShare = bits / asked }
    guard let end = endsAt else {
      begin(at: time)
      return false
    }
    pictures += 1
    if !isKey { predicted = (predicted.bits + bits, predicted.count + 1) }
    guard time >= end, predicted.count > 2 || gop < 3 && keyShare != nil else { return false }
    return judge(at: time)
  }

  private mutating func begin(at time: Int64) {
    (began, endsAt, predicted, pictures) = (time, time + Self.measuring, (0, 0), 0)
  }

  private mutating func judge(at time: Int64) -> Bool {
    let mean = predicted.count > 0 ? predicted.bits / predicted.count : (keyShare ?? 0) * asked
    let key = keyShare.map { $0 * asked } ?? mean
    let now = 1e6 * pictures / Double(max(1, time - began)) * (mean * (gop - 1) + key) / gop
    measured = now
    // One that misses by little may be right on average: it is looked at longer.
    if abs(now / wanted - 1) < Self.coarse, abs(now / wanted - 1) > Self.tolerance, time - began < 4 * Self.measuring {
      endsAt = time + Self.measuring
      return false
    }
    begin(at: time)
    if finding == .deaf {
      guard time >= (startsAt ?? 0) + Self.patience else { return false }
      (finding, unmoved, before) = (.measuring, 0, nil)
    }
    let ratio = now / wanted
    guard now > 0, abs(ratio - 1) > Self.tolerance else {
      (finding, unmoved, before, gain) = (.met, 0, nil, 1)
      return false
    }
    if let before, abs(log(asked / before.asked)) > 0.1 {
      // Less than a fifth of what it was moved by.
      let moved = log(now / before.measured) / log(asked / before.asked)
      unmoved = moved < 0.2 ? unmoved + 1 : 0
      guard unmoved < Self.deafAfter else {
        ask(wanted)
        finding = .deaf
        return true
      }
    }
    var step = -log(ratio)
    // What swings is asked for less and less.
    if step * lastStep < 0 { gain = max(0.25, gain / 2) }
    step *= gain
    lastStep = step
    before = (asked, now)
    let old = asked
    ask(asked * exp(step))
    finding = .correcting
    // At the end of what it takes.
    return abs(asked / old - 1) > 0.005
  }

  /// What is asked of the device and why, for `active`.
  public var text: String {
    func kilobits(_ bits: Double) -> Int { Int((bits / 1000).rounded()) }
    let want = "\(kilobits(wanted)) kbps are wanted"
    switch finding {
    case .measuring: return "asked for \(kilobits(asked)) kbps; measuring"
    case .met where abs(asked / wanted - 1) < 0.005: return "asked for what is wanted, \(kilobits(wanted)) kbps"
    case .met:
      return "asked for \(kilobits(asked)) kbps, because \(want) and it gives \(kilobits(measured ?? 0)) then"
    case .correcting:
      return "asked for \(kilobits(asked)) kbps, because \(want) and it gave \(kilobits(measured ?? 0))"
    case .deaf:
      return "asked for \(kilobits(asked)) kbps; its rate of \(kilobits(measured ?? 0)) follows no question"
    }
  }
}
