// SPDX-License-Identifier: Apache-2.0
internal import MediaCore

/// What decoder drivers do otherwise than the kernel's protocol has it: data, one row a driver, each with its source.
struct DecoderQuirks {
  struct Oddities: OptionSet {
    let rawValue: Int
    /// Does not say that it has read the first header: the size is taken from the stream, without waiting.
    static let silentStart = Oddities(rawValue: 1)
    /// Loses pictures when it goes on after a drain: the device is opened anew instead.
    static let onceOnlyDrain = Oddities(rawValue: 2)
    /// Accepts START after a drain and goes on saying EPIPE: the CAPTURE queue is stopped and started instead.
    static let deafStart = Oddities(rawValue: 4)
  }

  struct Row {
    /// `driver` of VIDIOC_QUERYCAP.
    var driver: String
    var oddities: Oddities
    /// Where it was reported.
    var source: String
  }

  static let rows = [
    Row(
      driver: "bcm2835-codec", oddities: [.silentStart, .onceOnlyDrain],
      source: "Gnurou/v4l2r #7 (no first source change); raspberrypi/linux #5059 (second drain)"),
    // It looks whether the queue has stopped only after the common code has cleared just that.
    Row(
      driver: "vicodec", oddities: .deafStart,
      source: "Linux 6.12 test-drivers/vicodec/vicodec-core.c vicodec_decoder_cmd; seen in the guest tier"),
  ]

  static func oddities(_ driver: String) -> Oddities { rows.first { $0.driver == driver }?.oddities ?? [] }
}
