// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The settings of `vb/N`.
enum VbSettings {
  /// Bytes of a picture of 1280x720 in 4:2:0.
  private static let usualSize = 1_382_400

  static func rows(_ common: CommonRows) -> [Attribute] {
    let heaps = ["auto"] + common.catalogue.heaps
    return [
      Attribute(
        "size", .integer(4096...(1 << 30)), default: .integer(usualSize), unit: "bytes", .restart,
        "bytes of each buffer; 4:2:0 takes width x height x 3 / 2 and padding of lines"),
      Attribute("count", .integer(1...256), default: .integer(8), unit: "buffers", .restart, "how many buffers it has"),
      Attribute(
        "heap",
        .choice(heaps, elsewhere: CommonRows.names(["memfd", "udmabuf", "system", "cma", "linux,cma"], but: heaps)),
        default: .text("auto"), .restart,
        "what the buffers are made of; auto takes what all other buffers here are made of"),
      Attribute(
        "wrap", .boolean, default: .boolean(false), .restart,
        "1: all buffers are parts of one piece of memory, which no device imports; 0: each has its own"),
      CommonRows.enable("takes its memory and gives buffers"),
      Attribute("free", .info, "buffers nobody holds now"),
      Attribute(
        "min_free", .info, "fewest free buffers since it was started; -1 once a frame was lost for lack of one"),
      Attribute("state", .info, "stopped or running"),
      Attribute("active", .info, "what its memory is, how much it holds and who takes its buffers"),
      Attribute("stats", .info, "buffers, free ones, and requests that found none"),
    ]
  }
}
