// SPDX-License-Identifier: Apache-2.0

/// A frame rate as a reduced fraction of frames per second.
///
/// Text form as the tree takes and prints it: `30`, `30000/1001`; decimals are taken and stored as the nearest
/// fraction a video standard uses or, failing that, as thousandths.
public struct FrameRate: Sendable, Hashable {
  public let numerator: Int32
  public let denominator: Int32

  /// `nil` unless both are positive.
  public init?(_ numerator: Int, _ denominator: Int = 1) {
    guard numerator > 0, denominator > 0 else { return nil }
    var (a, b) = (numerator, denominator)
    while b != 0 { (a, b) = (b, a % b) }
    guard let n = Int32(exactly: numerator / a), let d = Int32(exactly: denominator / a) else { return nil }
    self.numerator = n
    self.denominator = d
  }

  private init(unchecked numerator: Int32, _ denominator: Int32) {
    self.numerator = numerator
    self.denominator = denominator
  }

  /// 30 frames per second, the default of every input.
  public static let thirty = FrameRate(unchecked: 30, 1)

  public var framesPerSecond: Double { Double(numerator) / Double(denominator) }

  /// Time between two frames in nanoseconds, rounded down.
  public var intervalNanoseconds: Int64 { .seconds(Int64(denominator)) / Int64(numerator) }

  /// Rounded to whole frames per second, at least 1.
  public var rounded: Int { max(1, (Int(numerator) + Int(denominator) / 2) / Int(denominator)) }
}

extension FrameRate: CustomStringConvertible {
  public var description: String { denominator == 1 ? "\(numerator)" : "\(numerator)/\(denominator)" }
}
