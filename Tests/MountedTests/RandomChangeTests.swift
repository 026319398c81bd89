// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// A thousand changes in a row, drawn by a generator that always begins alike, on four channels that run.
@Suite(.ownThread) struct RandomChangeTests {
  /// xorshift64*, so that a failure can be seen again.
  struct Numbers: RandomNumberGenerator {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    mutating func next() -> UInt64 {
      state ^= state >> 12
      state ^= state << 25
      state ^= state >> 27
      return state &* 0x2545_F491_4F6C_DD1D
    }
  }

  /// The channels' engines.
  static let engines = ["openh264", Machine.hasX264 ? "x264" : "openh264", "turbojpeg", "openh264"]

  private static func change(_ channel: Int, _ numbers: inout Numbers) -> (key: String, value: String) {
    func one(_ values: String...) -> String { values.randomElement(using: &numbers) ?? "" }
    if engines[channel] == "turbojpeg" {
      return switch Int.random(in: 0..<4, using: &numbers) {
      case 0, 1: ("quality", "\(Int.random(in: 10...95, using: &numbers))")
      case 2: ("fps_dst", one("-1", "10", "15", "25"))
      default: ("rotation", one("0", "90", "180", "270"))
      }
    }
    return switch Int.random(in: 0..<14, using: &numbers) {
    case 0, 1, 2: ("bitrate", "\(Int.random(in: 60...3000, using: &numbers))")
    case 3, 4: ("gop", "\(Int.random(in: 3...60, using: &numbers))")
    case 5: ("fps_dst", one("-1", "10", "15", "25"))
    case 6: ("idr", "1")
    case 7: ("min_qp", one("auto", "12", "18", "24"))
    case 8: ("max_qp", one("auto", "42", "38", "30"))
    case 9: ("entropy", one("auto", "cavlc", "cabac"))
    case 10: ("slice_mode", one("none", "rows"))
    case 11 where engines[channel] == "x264":
      ("roi0", one("off", "0,0,64,64 rel -6", "64,32,128,96 rel 8", "16,16,304,164 rel -3"))
    case 12 where engines[channel] == "x264": ("intra_refresh", one("off", "column"))
    case 11, 12: ("gop_mode", one("normalp", "smartp"))
    default: ("mirror", one("0", "1"))
    }
  }

  @Test func aThousandChangesLoseNoFrameAndTheStreamsDecodeWithoutAnError() throws {
    // Nothing is left out for want of time on a busy machine: whoever gives frames waits for room.
    let channels = Self.engines.indices.map { number in
      """
      venc/\(number)/codec = \(Self.engines[number] == "turbojpeg" ? "mjpeg" : "h264")
      venc/\(number)/backend = \(Self.engines[number])
      venc/\(number)/source = vi/0
      venc/\(number)/enable = 1
      """
    }
    let served = try Served(
      ["--unthrottled"],
      configuration: """
        vi/0/input = pattern
        vi/0/width = 320
        vi/0/height = 180
        vi/0/enable = 1
        \(channels.joined(separator: "\n"))

        """)
    for number in Self.engines.indices { #expect(try served.advances("venc/\(number)", "frames_out", by: 10)) }
    let recordings = try Self.engines.indices.map { try Recording(served, "venc/\($0)/stream") }
    let formats = Self.engines.map { $0 == "turbojpeg" ? "mjpeg" : "h264" }
    for (recording, format) in zip(recordings, formats) { #expect(recording.has(10, format)) }

    var numbers = Numbers()
    let changes = (0..<1000).map { _ -> String in
      let channel = Int.random(in: 0..<4, using: &numbers)
      let (key, value) = Self.change(channel, &numbers)
      return "venc/\(channel)/\(key) \(value)"
    }
    let file = served.scratch + "/changes"
    try changes.joined(separator: "\n").appending("\n").write(toFile: file, atomically: true, encoding: .utf8)
    let outcome = try shell(
      #"while read -r node value; do echo "$value" > "$1/$node" || echo "$node $value"; done < "$2""#, served.at, file,
      timeout: 2 * patience)
    #expect(outcome.status == 0 && outcome.text.isEmpty, "not taken: \(outcome.text) \(outcome.errors)")

    for (number, recording) in recordings.enumerated() {
      #expect(try served.advances("venc/\(number)", "frames_out", by: 20), "venc/\(number) goes on")
      #expect(recording.has(101, formats[number]))
      try recording.stopAtPicture(formats[number])
    }
    try served.echo("0", to: "vi/0/enable")
    #expect(try eventually { try Self.engines.indices.allSatisfy { try served.stats("venc/\($0)")["in_flight"] == 0 } })
    for (number, recording) in recordings.enumerated() {
      let stats = try served.stats("venc/\(number)")
      #expect(stats["dropped"] == stats["dropped_frame_control"], "venc/\(number): \(stats)")
      #expect(stats["frames_in"] == (stats["frames_out"] ?? 0) + (stats["dropped"] ?? 0), "venc/\(number): \(stats)")
      let complaints = try Video.complaints(recording.file, formats[number])
      #expect(complaints == "", "venc/\(number): \(complaints.prefix(2000))")
      #expect(try Video.frames(recording.file, formats[number]).count > 100)
    }
  }
}
