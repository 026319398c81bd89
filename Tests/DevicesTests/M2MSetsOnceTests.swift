// SPDX-License-Identifier: Apache-2.0
import CLinux
import Codecs
import Glibc
import LinuxMedia
import MediaCore
import TestSupport
import Testing

@testable import Devices

/// A device that sends its parameter sets with the first picture alone, as several do whatever they are told.
@Suite(.ownThread) struct M2MSetsOnceTests {
  /// A stream of groups of four, cut into pictures; sets stand before the first one only.
  private static func pictures() throws -> [[UInt8]] {
    let factory = try #require(SoftwareCodecs.encoderFactories().first { $0.name == "openh264" })
    let encoder = try factory.open(
      EncoderConfiguration(
        codec: .h264, width: 64, height: 64, format: .i420, frameRate: .thirty,
        settings: ["rc_mode": .text("fixqp"), "gop": .integer(4), "profile": .text("auto")]))
    let frames = try TestFrames(.i420, 64, 64)
    var list = PictureList()
    for number in 0..<12 {
      let frame = try frames.frame(pts: Int64(number))
      memset(try frame.buffer.memory.map(), CInt(16 + number * 9), frames.layout.byteCount)
      try encoder.submit(frame, EncodeDirective(type: number % 4 == 0 ? .idr : nil, qp: 26), into: &list)
    }
    return list.pictures.enumerated().map { number, picture in
      guard number > 0 else { return picture.bytes }
      return picture.bytes.withUnsafeBytes { bytes in Array(bytes[ParameterSets.leading(bytes, .h264).count...]) }
    }
  }

  @Test func everyKeyPictureOfItsStreamHasThem() throws {
    let made = try Self.pictures()
    let bare = made.enumerated().filter { $0.offset > 0 && $0.offset % 4 == 0 }
    try #require(made.count == 12)
    for (_, picture) in bare { #expect(!Self.hasSets(picture), "the device gives it without") }
    let device = M2MFakeDevice { $0.picture = { made[$0 % made.count] } }
    let encoder = try V4L2Encoder(
      "/dev/video90",
      EncoderConfiguration(
        codec: .h264, width: 64, height: 64, format: .nv12, frameRate: .thirty,
        settings: ["gop": .integer(4), "rc_mode": .text("fixqp")]), kernel: device)
    let frames = try TestFrames(.nv12, 64, 64, dmabuf: true)
    var list = PictureList()
    for pts in 0..<12 { try encoder.submit(try frames.frame(pts: Int64(pts)), EncodeDirective(), into: &list) }
    try #require(list.pictures.count == 12)
    // What a channel does with every engine's pictures.
    let front = try #require(PictureFront(.h264))
    front.wanted = StreamDescription(color: .bt601, aspect: .unknown, frameRate: .thirty)
    for (number, picture) in list.pictures.enumerated() {
      front.begin()
      var written: [UInt8] = []
      picture.bytes.withUnsafeBytes { front.append($0) { written += $0 } }
      #expect(Self.hasSets(written) == (number % 4 == 0), "picture \(number)")
      guard number % 4 == 0 else { continue }
      #expect(written.starts(with: [0, 0, 0, 1, 0x67]), "with long start codes")
      // A reader that begins here knows all it needs.
      var parser = PictureParser(.h264)
      let info = written.withUnsafeBytes { parser.parse($0) }
      #expect(info.isKey && info.qp == 26 && !info.lacksParameterSets && parser.syntax?.width == 64)
    }
  }

  private static func hasSets(_ picture: [UInt8]) -> Bool {
    picture.withUnsafeBytes { bytes in
      Set(AnnexBUnits(bytes).map { $0[0] & 31 }).isSuperset(of: [7, 8])
    }
  }
}
