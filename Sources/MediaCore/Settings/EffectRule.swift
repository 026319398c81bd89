// SPDX-License-Identifier: Apache-2.0

/// What of the stream shows that a change took effect, how long that is watched, and how near the measured value must come.
public struct EffectRule: Sendable, Equatable {
  public enum Measure: Sendable, Equatable {
    /// The next picture is a key frame, or the one after it when one was being coded already.
    case keyFrame
    /// kbps of the stream.
    case bitrate
    /// Frames from one beginning of a group to the next.
    case groups
    /// Frames from one key picture to the next, where groups begin between them.
    case backgrounds
    /// What the groups begin with.
    case structure
    /// Pictures a second.
    case frameRate
    /// JPEG quality factor.
    case quality
    /// QP of key pictures, or of the others.
    case quantiser(ofKeys: Bool)
    /// The least QP, or the largest, of predicted pictures.
    case lowestQuantiser, highestQuantiser
    /// The same of key pictures.
    case lowestKeyQuantiser, highestKeyQuantiser
    /// The least quality factor, or the largest.
    case lowestQuality, highestQuality
    /// What the headers of the stream say.
    case syntax
    /// Slices of a picture.
    case slices
    /// kbps of the worst `stat_time`.
    case peakRate
    /// Frames left out one after the other.
    case lossRun
    /// Size of a key picture over the mean of those that follow it.
    case keyRatio(isLeast: Bool)
    /// QP of the predicted pictures around a key picture minus its own, or how much coarser than they it is at most.
    case keyDelta, keyRise
    /// How far the mean QPs of layers are apart.
    case layers
    /// kbps of whole groups.
    case leastRate
    /// The frame from which on the engine was told; no header shows more.
    case taken
    /// Bits of the largest pictures.
    case largest
    /// What the mode holds: ``bitrate``, ``peakRate`` or ``quantiser(ofKeys:)``.
    case rateMode
  }

  public enum Window: Sendable, Equatable {
    /// Coded frames after the change.
    case frames(Int)
    /// Whole groups of pictures after the change.
    case groups(Int)
    /// Seconds of stream after the change.
    case seconds(Int)
    /// So many times `stat_time` of stream after the change.
    case rateWindows(Int)
  }

  public var measure: Measure
  public var window: Window
  /// Windows that are tried, one after the other, before the change is called without effect.
  public var attempts: Int
  /// Allowed distance from what was asked, in per cent of it; 0 is exact.
  public var tolerancePercent: Int

  public init(_ measure: Measure, _ window: Window, attempts: Int = 1, tolerancePercent: Int = 0) {
    self.measure = measure
    self.window = window
    self.attempts = attempts
    self.tolerancePercent = tolerancePercent
  }

  /// A bitrate, which engines approach.
  public static let bitrate = EffectRule(.bitrate, .seconds(2), attempts: 3, tolerancePercent: 15)
  /// A frame rate; a window of two seconds may hold one picture more or less.
  public static let frameRate = EffectRule(.frameRate, .seconds(2), attempts: 3, tolerancePercent: 5)
  /// The distance of key frames: the group under way may still have the old one.
  public static let groups = EffectRule(.groups, .groups(2))
  public static let backgrounds = EffectRule(.backgrounds, .groups(2))
  /// The group after the first new key picture begins with one, with a refresh or with a picture of the background.
  public static let structure = EffectRule(.structure, .groups(2))
  /// The quantiser of the next key picture, or of the next other one.
  public static func quantiser(ofKeys: Bool) -> EffectRule { EffectRule(.quantiser(ofKeys: ofKeys), .groups(1)) }
  /// Predicted pictures keep a bound of their quantiser; the rate control may need some to get there.
  public static let lowestQuantiser = EffectRule(.lowestQuantiser, .frames(16), attempts: 3)
  public static let highestQuantiser = EffectRule(.highestQuantiser, .frames(16), attempts: 3)
  /// The next key pictures keep a bound.
  public static let lowestKeyQuantiser = EffectRule(.lowestKeyQuantiser, .groups(2), attempts: 3)
  public static let highestKeyQuantiser = EffectRule(.highestKeyQuantiser, .groups(2), attempts: 3)
  /// Means over a group are known to about a step.
  public static let keyDelta = EffectRule(.keyDelta, .groups(1), attempts: 4)
  public static let keyRise = EffectRule(.keyRise, .groups(1), attempts: 4)
  public static let layers = EffectRule(.layers, .groups(2), attempts: 3)
  /// Over whole groups no less than what is asked for.
  public static let leastRate = EffectRule(.leastRate, .groups(2), attempts: 3, tolerancePercent: 15)
  public static let taken = EffectRule(.taken, .frames(1))
  /// Pictures keep a bound of their quality factor, from the next one on or the one after it.
  public static let lowestQuality = EffectRule(.lowestQuality, .frames(16), attempts: 3)
  public static let highestQuality = EffectRule(.highestQuality, .frames(16), attempts: 3)
  /// What the headers say from the next key picture on, or the one after it when that was being coded already.
  public static let syntax = EffectRule(.syntax, .groups(2))
  /// Pictures have several slices, or one.
  public static let slices = EffectRule(.slices, .groups(2))
  /// No `stat_time` has more than a maximum.
  public static let peakRate = EffectRule(.peakRate, .rateWindows(2), attempts: 3, tolerancePercent: 5)
  /// No `stat_time` has much more than what is asked for: a cut takes a quarter.
  public static let rateWindow = EffectRule(.peakRate, .rateWindows(2), attempts: 3, tolerancePercent: 25)
  public static let lossRun = EffectRule(.lossRun, .rateWindows(2), attempts: 3)
  /// What key pictures cost is known to about a quarter.
  public static func keyRatio(isLeast: Bool) -> EffectRule {
    EffectRule(.keyRatio(isLeast: isLeast), .groups(1), attempts: 4, tolerancePercent: 25)
  }
  public static let largest = EffectRule(.largest, .groups(2), attempts: 3)
  public static let rateMode = EffectRule(.rateMode, .seconds(2), attempts: 3, tolerancePercent: 15)
  /// The quality factor of the next picture.
  public static let quality = EffectRule(.quality, .frames(1))
  /// The next picture is a key frame.
  public static let keyFrame = EffectRule(.keyFrame, .frames(1))

  /// The window in microseconds of stream, where it is one of time.
  public var microseconds: Int64? {
    if case .seconds(let count) = window { return Int64(count) * 1_000_000 }
    return nil
  }

  /// The window in groups of pictures, where it is one.
  public var groups: Int? {
    if case .groups(let count) = window { return count }
    return nil
  }

  /// For `help`: `2 s`, `1 frame`, `2 groups`, `3 times 2 s`.
  public var windowText: String {
    let text =
      switch window {
      case .frames(let count): count == 1 ? "1 frame" : "\(count) frames"
      case .groups(let count): count == 1 ? "1 group" : "\(count) groups"
      case .seconds(let count): "\(count) s"
      case .rateWindows(let count): "\(count) stat_time"
      }
    return attempts == 1 ? text : "\(attempts) times \(text)"
  }

  /// The windows of `stat_time`, where it is made of them.
  public var rateWindows: Int? {
    if case .rateWindows(let count) = window { return count }
    return nil
  }

  /// For `help`: `exact`, `15 %`.
  public var toleranceText: String {
    switch measure {
    case .keyDelta, .keyRise, .layers: "1 step"
    case .taken: "applied"
    default: tolerancePercent == 0 ? "exact" : "\(tolerancePercent) %"
    }
  }
}
