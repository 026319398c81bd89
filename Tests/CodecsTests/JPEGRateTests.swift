// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// Motion JPEG with its rate held, by the engine itself.
@Suite(.ownThread) struct JPEGRateTests {
  private static func configuration(_ settings: ObjectSettings, width: Int = 640, height: Int = 360) throws
    -> EncoderConfiguration
  {
    var all: ObjectSettings = ["rc_mode": .text("cbr"), "qfmin": .integer(5), "qfmax": .integer(99)]
    for (key, value) in settings.values { all[key] = value }
    return EncoderConfiguration(
      codec: .mjpeg, width: width, height: height, format: .i420, frameRate: try #require(FrameRate(25)), settings: all)
  }

  private static func encoder(_ configuration: EncoderConfiguration) throws -> ControlledEncoder {
    let factory = TurboJPEGFactory()
    return ControlledEncoder(try factory.open(configuration), configuration, factory)
  }

  private static func qualities(_ pictures: some Sequence<[UInt8]>) -> [Int] {
    var parser = PictureParser(.mjpeg)
    return pictures.compactMap { picture in picture.withUnsafeBytes { parser.parse($0).quality } }
  }

  @Test(arguments: [3000, 6000]) func theRateIsHeldAndTheFactorIsInTheStream(kilobits: Int) throws {
    let configuration = try Self.configuration(["bitrate": .integer(kilobits)])
    let encoder = try Self.encoder(configuration)
    let source = try PatternSource(try request(fps: 25))
    var list = PictureList()
    for _ in 0..<150 { try encoder.submit(try source.next().unwrapped(), EncodeDirective(), into: &list) }
    for start in 25..<125 {
      let second = Double(list.bits(start..<start + 25)) / Double(kilobits * 1000)
      #expect(abs(second - 1) < 0.05, "second from \(start)")
    }
    let factors = Self.qualities(list.pictures)
    #expect(factors.count == 150 && factors.allSatisfy { (5...99).contains($0) })
    var narrow = configuration
    (narrow.settings[.leastQuality], narrow.settings[.mostQuality]) = (40, 41)
    #expect(try encoder.reconfigure(narrow))
    for _ in 0..<10 { try encoder.submit(try source.next().unwrapped(), EncodeDirective(), into: &list) }
    #expect(Self.qualities(list.pictures[150...]).allSatisfy { (40...41).contains($0) })
    narrow.settings[.bitrate] = kilobits / 2
    #expect(try encoder.reconfigure(narrow), "live")
  }

  /// One picture a second, which suddenly is full of noise that the look at it does not see.
  @Test func aPictureThatIsFarTooLargeIsCodedAgain() throws {
    var configuration = try Self.configuration(["bitrate": .integer(300), "max_reencode_times": .integer(3)])
    configuration.frameRate = try #require(FrameRate(1))
    let encoder = try Self.encoder(configuration)
    var list = PictureList()
    var noise: UInt32 = 1
    for number in 0..<8 {
      let frame = try makeFrame(
        try #require(FrameLayout(.i420, width: 640, height: 360)), pts: Int64(number) * 1_000_000)
      let bytes = try frame.buffer.memory.map().assumingMemoryBound(to: UInt8.self)
      for index in 0..<640 * 360 {
        // Where nobody looks before it is coded: the grid is of every 26th sample, and the next but one to each.
        let isSeen = index % 640 % 26 == 13 || index % 640 % 26 == 15
        noise = noise &* 1_664_525 &+ 1_013_904_223
        bytes[index] = number < 4 || isSeen ? UInt8(index % 640 / 4) : UInt8(96 + (noise >> 26))
      }
      try encoder.submit(frame, EncodeDirective(), into: &list)
    }
    #expect(list.pictures.count == 8, "what was thrown away is nowhere")
    #expect(encoder.reencoded > 0)
    #expect(list.bits(4..<5) <= 345_000, "\(list.bits(4..<5))")
  }

  @Test func withAFixedFactorNothingIsChosen() throws {
    let encoder = try Self.encoder(
      try Self.configuration(["rc_mode": .text("fixqp"), "quality": .integer(37), "bitrate": .integer(100)]))
    let source = try PatternSource(try request(fps: 25))
    var list = PictureList()
    for _ in 0..<30 { try encoder.submit(try source.next().unwrapped(), EncodeDirective(), into: &list) }
    #expect(Set(Self.qualities(list.pictures)) == [37])
  }
}
