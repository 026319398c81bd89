// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The settings of `vda/N`.
enum VdaSettings {
  private static let usual = MotionSettings()

  static func rows(_ common: CommonRows) -> [Attribute] {
    [
      Attribute(
        "algorithm", .choice(MotionSettings.Algorithm.allCases.map(\.rawValue)), default: .text("background"), .restart,
        "what pictures are held against: a background that follows slowly, or the picture before (reference)"),
      Attribute(
        "block", .choice(["8", "16"]), default: .text("16"), unit: "pixels", .restart,
        "side of the blocks that are compared"),
      Attribute(
        "interval", .integer(0...256), default: .integer(0), unit: "frames", .live,
        "frames that are not looked at between two that are"),
      Attribute(
        "bg_weight", .integer(1...255), default: .integer(usual.backgroundWeight), .live,
        "parts of 256 that the background keeps when a picture is added to it",
        useless: { $0.text("algorithm") == "reference" ? "algorithm is reference" : nil }),
      Attribute(
        "sad_threshold", .integer(0...4080), default: .integer(usual.threshold), .live,
        "sum of absolute differences of 16 pixels, beyond the noise, from which a block has moved"),
      Attribute(
        "max_objects", .integer(1...128), default: .integer(usual.mostObjects), .live,
        "most objects that result lists, the largest first"),
      Attribute(
        "still_count", .integer(1...256), default: .integer(usual.stillCount), unit: "frames", .live,
        "frames without motion before events has its end"),
      Attribute(
        "od_area", .integer(0...100), default: .integer(usual.coveredPercent), unit: "%", .live,
        "part of the blocks with detail that must have lost it for the lens to be covered; 0: not looked for"),
      Attribute(
        "od_count", .integer(1...256), default: .integer(usual.coveredCount), unit: "frames", .live,
        "covered frames one after the other before occlusion is told"),
      Attribute(
        "od_uncount", .integer(1...256), default: .integer(usual.uncoveredCount), unit: "frames", .live,
        "frames that are not covered before it is withdrawn"),
      common.source(), CommonRows.enable("looks for motion and occlusion in the frames that come"),
    ] + CommonRows.reports + [
      Attribute("result", .info, "what was seen in the last picture: alarm pixels, objects with their rectangles"),
      Attribute(
        "events", .stream, "a line when motion or occlusion begins or ends; reading waits for more; not listed"),
    ] + CommonRows.snapshots
  }

  static func motion(_ settings: ObjectSettings) -> MotionSettings {
    var motion = MotionSettings()
    motion.algorithm = settings.text("algorithm").flatMap(MotionSettings.Algorithm.init) ?? usual.algorithm
    motion.block = settings.text("block") == "8" ? 8 : 16
    motion.backgroundWeight = settings.integer("bg_weight") ?? usual.backgroundWeight
    motion.threshold = settings.integer("sad_threshold") ?? usual.threshold
    motion.mostObjects = settings.integer("max_objects") ?? usual.mostObjects
    motion.stillCount = settings.integer("still_count") ?? usual.stillCount
    motion.coveredPercent = settings.integer("od_area") ?? usual.coveredPercent
    motion.coveredCount = settings.integer("od_count") ?? usual.coveredCount
    motion.uncoveredCount = settings.integer("od_uncount") ?? usual.uncoveredCount
    return motion
  }
}
