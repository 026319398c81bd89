// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// The vendor's frame-rate control: frame number n of a node is judged by entry `n % table.count`; 0 keeps it.
///
/// The table and the way drops are dealt out are those of Rockit's node rate setting, with its upper bound of 30
/// frames a second raised to 240.
enum FrameControl {
  static let rates = 1...240

  /// - Parameters:
  ///   - source: frames a second that come.
  ///   - destination: frames a second to keep; 0 keeps none.
  /// - Returns: `nil` unless 0 <= destination <= source and the source rate is within ``rates``.
  static func table(source: Int, destination: Int) -> [UInt8]? {
    guard rates.contains(source), (0...source).contains(destination) else { return nil }
    guard destination > 0 else { return Array(repeating: 1, count: source) }
    if source % destination == 0 {
      let step = source / destination
      return (0..<source).map { UInt8($0 % step) }
    }
    let drops = source - destination
    if destination > drops {
      // More kept than dropped: the drops stand at the front, each after one that is kept.
      return (0..<source).map { $0 % 2 == 1 && $0 < 2 * drops ? 1 : 0 }
    }
    var table: [UInt8] = []
    for kept in 0..<destination {
      table.append(0)
      let share = drops / destination + (kept < drops % destination ? 1 : 0)
      table.append(contentsOf: repeatElement(1, count: share))
    }
    return table
  }

  /// Frames from one that is kept to the next, at the most; 1 for no table, `nil` for one that keeps none.
  static func longestGap(_ table: [UInt8]) -> Int? {
    guard !table.isEmpty else { return 1 }
    let kept = table.indices.filter { table[$0] == 0 }
    guard let first = kept.first else { return nil }
    // The table repeats, so the last gap ends at the first kept frame of the next round.
    return zip(kept, kept.dropFirst() + [first + table.count]).map { $1 - $0 }.max()
  }
}

/// What `fps_src` and `fps_dst` of a channel ask for.
extension FrameControl {
  /// The frames a second that come where more are asked for, by more than the tolerance of `effect`, and a remark on it.
  /// - Returns: `nil` where as many come, or nothing is asked for or known.
  static func missing(_ key: String, _ asked: Int?, coming rate: FrameRate?) -> (coming: String, remark: String)? {
    guard let asked, let rate = rate?.framesPerSecond,
      rate < Double(asked) * (1 - Double(EffectRule.frameRate.tolerancePercent) / 100)
    else { return nil }
    let coming = "\((rate * 10).rounded() / 10)"
    return (coming, "\(key) \(asked) asked, \(coming) come")
  }

  /// The same for `active`; nothing where as many come.
  static func differs(_ key: String, _ asked: Int?, coming rate: FrameRate) -> [KeyValue] {
    missing(key, asked, coming: rate).map { [KeyValue(key: "differs", value: $0.remark)] } ?? []
  }

  /// - Parameter rate: of the frames that come; `nil` where that is not known.
  /// - Returns: `nil` where every frame is kept.
  static func table(_ settings: ObjectSettings, of rate: FrameRate?) -> [UInt8]? {
    guard let target = settings.integer("fps_dst"), let source = settings.integer("fps_src") ?? rate?.rounded,
      target < source
    else { return nil }
    return table(source: source, destination: target)
  }

  /// The rate that is left.
  static func rate(_ settings: ObjectSettings, of rate: FrameRate?) -> FrameRate? {
    guard let rate = rate ?? settings.integer("fps_src").flatMap({ FrameRate($0) }) else {
      return settings.integer("fps_dst").flatMap { FrameRate($0) }
    }
    guard let target = settings.integer("fps_dst") else { return rate }
    let source = settings.integer("fps_src") ?? rate.rounded
    guard target < source else { return rate }
    return FrameRate(Int(rate.numerator) * target, Int(rate.denominator) * source)
  }

  /// - Throws: ERANGE where more frames would leave than come.
  static func check(_ change: SettingsChange, _ verb: String) throws(Refusal) {
    guard let source = change.new.integer("fps_src"), let target = change.new.integer("fps_dst"), target > source else {
      return
    }
    let key = change.written["fps_dst"] == nil ? "fps_src" : "fps_dst"
    throw change.refusal(
      key, .outOfRange, "would \(verb) more frames than arrive (\(target) of \(source))",
      hint: key == "fps_dst" ? "at most \(source)" : "at least \(target), or change fps_dst first")
  }
}
