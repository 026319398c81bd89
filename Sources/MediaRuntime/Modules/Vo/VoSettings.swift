// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The settings of `vo/N`.
enum VoSettings {
  static func rows(_ common: CommonRows) -> [Attribute] {
    guard common.catalogue.display != nil else { return [] }
    return [
      Attribute(
        "device", .display(.device), default: .text("auto"), .restart,
        "DRM card; auto takes the first with a monitor"),
      Attribute(
        "connector", .display(.connector), default: .text("auto"), .restart,
        "where the monitor is plugged in; auto takes the first that has one; one that is named is waited for"),
      Attribute(
        "mode", .display(.mode), default: .text("auto"), .restart,
        "size and rate of the screen; auto takes what the monitor prefers"),
      Attribute(
        "rect", .rectangle(limit: CommonRows.largestSide), default: .none, unit: "pixels", .live,
        "where on the screen the picture fills x,y,w,h; empty for all of it, with the picture's shape kept"),
      common.source(),
      CommonRows.enable("shows the frames that come"),
      Attribute("release", .command, "write 1: lets the card go for another program, with the screen as it was before"),
      Attribute("acquire", .command, "write 1: takes the card again after release"),
    ] + CommonRows.reports + CommonRows.snapshots
  }
}
