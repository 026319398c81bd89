// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The rows that several classes have, and what all rows are made from.
///
/// Units and ranges follow the RK_MPI headers where they have the same setting (`RK_MPI_VENC` limits: gop 1...65536,
/// bitrate 2...200000 kbps, quality 1...99 with 70 as default).
struct CommonRows {
  /// What this build and this machine offer.
  let catalogue: EngineCatalogue
  /// What gives frames, in the order of the tree.
  let givers: [ObjectType]
  /// What gives buffers.
  var pools: [ObjectType] = []

  /// Largest width and height in pixels: what ``FrameLayout`` can lay out.
  static let largestSide = 16384

  static let reports = [
    Attribute("state", .info, "stopped, running, starved, ended, or failed: why"),
    Attribute("active", .info, "what is really in use, and why where it differs from what was asked"),
    Attribute("stats", .info, "frames in, out and dropped by cause; queue; times; bytes copied"),
  ]

  static let snapshots = [
    Attribute(SnapshotForm.jpeg.rawValue, .picture, "the next picture that passes, as a JPEG file"),
    Attribute(SnapshotForm.raw.rawValue, .picture, "its pixels as they are; active says what the last such file held"),
  ]

  static func format(_ formats: [PixelFormat], _ summary: String) -> Attribute {
    let choices = ["auto"] + formats.map(\.description)
    return Attribute(
      "format", .choice(choices, elsewhere: names(PixelFormat.named.map(\.name), but: choices)),
      default: .text("auto"), .restart, summary)
  }

  /// - Parameter engines: those there are, the preferred first.
  static func backend(
    _ engines: [(name: String, isHardware: Bool)], _ summary: String, elsewhere: [String] = []
  ) -> Attribute {
    var choices = ["auto"]
    if engines.contains(where: { !$0.isHardware }) { choices.append("software") }
    for engine in engines where !choices.contains(engine.name) { choices.append(engine.name) }
    return Attribute(
      "backend", .choice(choices, elsewhere: names(elsewhere + ["software"], but: choices), devices: true),
      default: .text("auto"), .restart, summary)
  }

  func source(effect: EffectRule? = nil) -> Attribute {
    Attribute(
      "source", .source(givers), default: .none, .live, effect: effect,
      "object the frames come from; empty unbinds")
  }

  /// Which pool pictures are made in.
  static let poolKey = "pool"

  func pool(useless: @escaping @Sendable (ObjectSettings) -> String? = { _ in nil }) -> Attribute {
    Attribute(
      Self.poolKey, .pool(pools), default: .none, .restart,
      "pool the buffers of its pictures are taken from; empty for one of its own", useless: useless)
  }

  static func enable(_ what: String, effect: EffectRule? = nil) -> Attribute {
    Attribute("enable", .boolean, default: .boolean(false), .live, effect: effect, "1: \(what); 0: stopped")
  }

  /// Names of what this build or machine does not have.
  static func names(_ all: [String], but here: [String]) -> [String] { all.filter { !here.contains($0) } }
}
