// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// The H.265 parser against FFmpeg: same pictures, same types.
@Suite(.ownThread) struct HEVCBitstreamTests {
  /// Splits a stream into pictures at the units x265 puts before each of them.
  private func pictures(_ stream: [UInt8]) -> [[UInt8]] {
    var starts: [Int] = []
    for index in stream.indices.dropLast(5)
    where stream[index] == 0 && stream[index + 1] == 0 && stream[index + 2] == 1 && stream[index + 3] >> 1 & 63 == 35 {
      starts.append(index)
    }
    return zip(starts, starts.dropFirst() + [stream.count]).map { Array(stream[$0..<$1]) }
  }

  @Test(arguments: ["bframes=0:keyint=8", "bframes=3:keyint=12", "bframes=0:keyint=6:open-gop=1:slices=2"])
  func picturesReadAsFFmpegReadsThem(_ options: String) throws {
    let stream = try Tool.run(
      "ffmpeg",
      [
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=324x244:d=1.2:r=25", "-pix_fmt", "yuv420p", "-c:v", "libx265",
        "-x265-params", "log-level=none:aud=1:repeat-headers=1:min-keyint=1:scenecut=0:\(options)", "-f", "hevc",
        "pipe:1",
      ]
    ).output
    let units = pictures(Array(stream))
    try #require(units.count == 30)
    let log = try Tool.run(
      "ffmpeg", ["-f", "hevc", "-i", "pipe:0", "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"],
      input: stream
    ).errors
    var expected: [(unit: Int, type: Int)] = []
    var (unit, isFirst) = (0, false)
    for line in log.split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.first == "[trace_headers", fields.count >= 6, let value = Int(fields[fields.count - 1]) else {
        continue
      }
      switch fields[4] {
      case "nal_unit_type": unit = value
      case "first_slice_segment_in_pic_flag": isFirst = value == 1
      case "slice_type": if isFirst { expected.append((unit, value)) }
      default: break
      }
    }
    try #require(expected.count == 30)
    var parser = PictureParser(.h265)
    for (picture, wanted) in zip(units, expected) {
      let info = picture.withUnsafeBytes { parser.parse($0) }
      let isKey = (16...21).contains(wanted.unit)
      #expect(info.isKey == isKey)
      #expect(info.type == (isKey ? .idr : wanted.type == 0 ? .b : wanted.type == 1 ? .p : .i))
      #expect(info.hasParameterSets == isKey)
      #expect(info.slices >= 1)
    }
    #expect(parser.syntax?.width == 324 && parser.syntax?.height == 244)
    #expect(parser.syntax?.profile == 1)
  }

  @Test func anyBytesMayCome() {
    var parser = PictureParser(.h265)
    var seed: UInt32 = 7
    for length in 0..<400 {
      var bytes: [UInt8] = [0, 0, 1, UInt8(truncatingIfNeeded: (length % 40) << 1), 1]
      for _ in 0..<length {
        seed = seed &* 1_664_525 &+ 1_013_904_223
        bytes.append(UInt8(truncatingIfNeeded: seed >> 24))
      }
      _ = bytes.withUnsafeBytes { parser.parse($0) }
    }
  }
}
