// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

func h264(
  _ width: Int = 640, _ height: Int = 360, fps: Int = 30, gop: Int = 30, bitrate: Int = 1000, profile: String = ""
) throws -> EncoderConfiguration {
  EncoderConfiguration(
    codec: .h264, width: width, height: height, format: .i420, frameRate: try #require(FrameRate(fps)),
    settings: [
      "profile": .text(profile.isEmpty ? "auto" : profile), "gop": .integer(gop), "rc_mode": .text("cbr"),
      "bitrate": .integer(bitrate),
    ])
}

func expectTaken(_ encoder: any Encoder, _ configuration: EncoderConfiguration, _ taken: Bool = true) throws {
  let result = try encoder.reconfigure(configuration)
  #expect(result == taken)
}

/// The stream decodes without a complaint, and shows every picture of the pattern, 640x360, in its order.
func expectPattern(_ list: PictureList, _ format: String, pictures count: Int) throws {
  let decoded = try Tool.decode(list.stream, format)
  #expect(decoded.status == 0 && decoded.errors == "")
  let size = 640 * 360 * 3 / 2
  try #require(decoded.output.count == count * size)
  decoded.output.withUnsafeBytes { bytes in
    for index in 0..<count {
      let luma = UnsafeRawBufferPointer(rebasing: bytes[index * size..<index * size + 640 * 360])
      #expect(PatternCode.read(luma: luma, stride: 640, width: 640, height: 360) == UInt32(index))
    }
  }
}

/// Engines of H.264 in this build, each held to the same behaviour.
let h264Factories: [any EncoderFactory] = SoftwareCodecs.encoderFactories().filter { $0.codecs.contains(.h264) }

@Suite(.ownThread) struct H264EncoderTests {
  /// Encodes `count` frames of the pattern; `change` runs before each.
  static func encode(
    _ name: String, _ configuration: EncoderConfiguration, frames count: Int, times: [Int64] = [],
    change: (Int, any Encoder, inout EncodeDirective) throws -> Void = { _, _, _ in }
  ) throws -> PictureList {
    let factory = try #require(h264Factories.first { $0.name == name })
    let source = try PatternSource(try request(.i420, configuration.width, configuration.height))
    let encoder = ControlledEncoder(try factory.open(configuration), configuration, factory)
    var list = PictureList()
    for index in 0..<count {
      var directive = EncodeDirective()
      try change(index, encoder, &directive)
      var frame = try source.next().unwrapped()
      if index < times.count { frame.pts = times[index] }
      try encoder.submit(frame, directive, into: &list)
    }
    try encoder.drain(into: &list)
    return list
  }

  static let names = h264Factories.map(\.name)

  @Test(arguments: names, ["baseline", "main", "high"])
  func decodesWithoutAnErrorAndShowsEveryFrameInOrder(_ name: String, profile: String) throws {
    let list = try Self.encode(name, try h264(profile: profile), frames: 45)
    #expect(list.pictures.count == 45)
    try expectPattern(list, "h264", pictures: 45)
  }

  @Test(arguments: names)
  func keyPicturesComeExactlyEveryGOPAndAChangeOfItCounts(_ name: String) throws {
    let list = try Self.encode(name, try h264(gop: 12), frames: 60) { index, encoder, _ in
      if index == 30 { try expectTaken(encoder, h264(gop: 7)) }
    }
    let pictures = try Tool.pictures(list.stream, "h264")
    #expect(pictures.indices.filter { pictures[$0].key } == [0, 12, 24, 31, 38, 45, 52, 59])
  }

  @Test(arguments: names)
  func anIDRPictureComesWhenAskedAndTheGOPCountsFromIt(_ name: String) throws {
    let list = try Self.encode(name, try h264(gop: 20), frames: 40) { index, _, directive in
      if index == 5 { directive.type = .idr }
    }
    let pictures = try Tool.pictures(list.stream, "h264")
    #expect(pictures.indices.filter { pictures[$0].key } == [0, 5, 25])
    // Parameter sets come before each: the stream decodes from any of them.
    for index in [0, 5, 25] {
      let tail = Data(list.pictures[index...].joined())
      let decoded = try Tool.decode(tail, "h264")
      #expect(decoded.errors == "")
    }
  }

  @Test(arguments: names)
  func aLiveBitrateIsSeenInTheBits(_ name: String) throws {
    let list = try Self.encode(name, try h264(gop: 60, bitrate: 1500), frames: 240) { index, encoder, _ in
      if index == 120 { try expectTaken(encoder, h264(gop: 60, bitrate: 400)) }
    }
    let before = Double(list.bits(60..<120)) / 2 / 1000
    let after = Double(list.bits(180..<240)) / 2 / 1000
    #expect(abs(before / 1500 - 1) < 0.25, "\(before) kbps")
    #expect(abs(after / 400 - 1) < 0.25, "\(after) kbps")
  }

  @Test(arguments: names)
  func aLiveFrameRateKeepsTheBitrateByChangingTheBitsAFrame(_ name: String) throws {
    let first: [Int64] = (0..<90).map { Int64($0) * 33_333 }
    let second: [Int64] = (0..<90).map { 3_000_000 + Int64($0) * 100_000 }
    let times: [Int64] = first + second
    let list = try Self.encode(name, try h264(fps: 30, gop: 60, bitrate: 800), frames: 180, times: times) {
      index, encoder, _ in
      if index == 90 { try expectTaken(encoder, h264(fps: 10, gop: 60, bitrate: 800)) }
    }
    let before = Double(list.bits(30..<90)) / 60
    let after = Double(list.bits(120..<180)) / 60
    #expect(after / before > 2.3 && after / before < 3.7, "\(before) -> \(after) bits a frame")
  }

  @Test(arguments: names)
  func aFixedQuantiserIsTheOneInTheStreamAndChangesAtOnce(_ name: String) throws {
    var fixed = try h264(gop: 10)
    fixed.settings[.rateControl] = "fixqp"
    (fixed.settings[.keyQP], fixed.settings[.predictedQP]) = (20, 30)
    var coarse = fixed
    (coarse.settings[.keyQP], coarse.settings[.predictedQP]) = (38, 45)
    let list = try Self.encode(name, fixed, frames: 40) { index, encoder, _ in
      if index == 15 { try expectTaken(encoder, coarse) }
    }
    var parser = PictureParser(.h264)
    let infos = list.pictures.map { picture in picture.withUnsafeBytes { parser.parse($0) } }
    #expect(infos.indices.filter { infos[$0].isKey } == [0, 10, 20, 30])
    #expect(infos[..<15].map { $0.qp ?? -1 } == infos[..<15].map { $0.isKey ? 20 : 30 })
    #expect(infos[15...].map { $0.qp ?? -1 } == infos[15...].map { $0.isKey ? 38 : 45 })
    let decoded = try Tool.decode(list.stream, "h264")
    #expect(decoded.status == 0 && decoded.errors == "")
    // What is left to the engine, it chooses, and holds no bitrate either.
    var own = try h264(gop: 10, bitrate: 50)
    own.settings[.rateControl] = "fixqp"
    let other = try Self.encode(name, own, frames: 12)
    var second = PictureParser(.h264)
    let found = other.pictures.compactMap { picture in picture.withUnsafeBytes { second.parse($0) }.qp }
    #expect(found.count == 12 && found.allSatisfy { (18...28).contains($0) }, "\(found)")
  }

  /// With far too few bits the quantiser would go to the top, with far too many to the bottom.
  @Test(arguments: names, [(30, 33), (20, 22)])
  func theQuantiserStaysWithinItsBoundsWhateverTheBitrate(_ name: String, _ bounds: (low: Int, high: Int)) throws {
    for bitrate in [20, 20_000] {
      var bounded = try h264(320, 180, gop: 10, bitrate: bitrate)
      (bounded.settings[.minQP], bounded.settings[.maxQP]) = (bounds.low, bounds.high)
      let list = try Self.encode(name, bounded, frames: 40)
      var parser = PictureParser(.h264)
      let found = list.pictures.compactMap { picture in picture.withUnsafeBytes { parser.parse($0) }.qp }
      #expect(found.count == 40)
      #expect(found.allSatisfy { bounds.low...bounds.high ~= $0 }, "\(bitrate) kbps: \(found)")
      // x264 gives no more bits than its look at the picture asks for.
      if bitrate == 20 || name == "openh264" {
        #expect(found.last == (bitrate == 20 ? bounds.high : bounds.low), "\(bitrate) kbps: \(found)")
      }
    }
  }

  /// What `auto` means is what the stream shows.
  @Test(arguments: names)
  func theBoundsSaidToBeTheEnginesOwnAre(_ name: String) throws {
    let factory = try #require(h264Factories.first { $0.name == name })
    let low = try #require(factory.settings(for: .h264)[.minQP]?.usual)
    let high = try #require(factory.settings(for: .h264)[.maxQP]?.usual)
    for bitrate in [1, 200_000] {
      let list = try Self.encode(name, try h264(640, 360, gop: 60, bitrate: bitrate), frames: 60)
      var parser = PictureParser(.h264)
      let found = list.pictures.compactMap { picture in picture.withUnsafeBytes { parser.parse($0) }.qp }
      #expect(found.allSatisfy { low...high ~= $0 }, "\(bitrate) kbps: \(found)")
      // openh264 stops there; x264 goes as far as the picture needs.
      if name == "openh264" { #expect(found.last == (bitrate == 1 ? high : low), "\(bitrate) kbps: \(found)") }
    }
  }

  @Test(arguments: names)
  func aQuantiserBeyondTheCodingsIsRefused(_ name: String) throws {
    let factory = try #require(h264Factories.first { $0.name == name })
    var fixed = try h264()
    fixed.settings[.rateControl] = "fixqp"
    fixed.settings[.keyQP] = 52
    #expect(throws: Failure(.outOfRange, "qp_i", on: name, "it takes 0..51")) { try factory.validate(fixed) }
  }

  @Test(arguments: names)
  func aNewSizeOrProfileNeedsANewEncoder(_ name: String) throws {
    _ = try Self.encode(name, try h264(), frames: 1) { _, encoder, _ in
      try expectTaken(encoder, h264(320, 180), false)
      try expectTaken(encoder, h264(profile: "baseline"), false)
    }
  }

  @Test(arguments: names)
  func aFrameOfAnotherSizeIsRefusedAndTheChannelGoesOn(_ name: String) throws {
    let factory = try #require(h264Factories.first { $0.name == name })
    let encoder = try factory.open(try h264())
    var list = PictureList()
    let wrong = try makeFrame(.i420, 320, 180)
    #expect(throws: Failure.self) { try encoder.submit(wrong, EncodeDirective(), into: &list) }
    let right = try makeFrame(.i420, 640, 360)
    try encoder.submit(right, EncodeDirective(), into: &list)
    #expect(list.pictures.count == 1)
  }

  @Test(arguments: names, [(16, 16), (34, 18), (322, 242), (1920, 1080), (1080, 1920)])
  func everySizeDecodesAtThatSize(_ name: String, _ size: (width: Int, height: Int)) throws {
    let factory = try #require(h264Factories.first { $0.name == name })
    let configuration = try h264(size.width, size.height, gop: 1)
    let encoder = ControlledEncoder(try factory.open(configuration), configuration, factory)
    var list = PictureList()
    // All key pictures, one after the other.
    for _ in 0..<3 {
      let frame = try makeFrame(.i420, size.width, size.height)
      try encoder.submit(frame, EncodeDirective(), into: &list)
    }
    let decoded = try Tool.decode(list.stream, "h264")
    #expect(decoded.errors == "")
    #expect(decoded.output.count == 3 * size.width * size.height * 3 / 2)
    let pictures = try Tool.pictures(list.stream, "h264")
    #expect(pictures.map(\.key) == [true, true, true])
  }

  @Test(arguments: names, [(1, 30, 1), (50, 1, 2), (100_000, 120, 1), (240_000, 30, 1), (2000, 30000, 1001)])
  func extremesAreTakenAtOpenAndLive(_ name: String, _ rate: (kilobits: Int, numerator: Int, denominator: Int)) throws {
    var extreme = try h264(gop: 10, bitrate: rate.kilobits)
    extreme.frameRate = try #require(FrameRate(rate.numerator, rate.denominator))
    let opened = try Self.encode(name, extreme, frames: 5)
    #expect(try Tool.decode(opened.stream, "h264").errors == "")
    let changed = try Self.encode(name, try h264(gop: 10), frames: 15) { index, encoder, _ in
      if index == 5 { try expectTaken(encoder, extreme) }
      if index == 10 { try expectTaken(encoder, try h264(gop: 10)) }
    }
    #expect(changed.pictures.count == 15)
    #expect(try Tool.decode(changed.stream, "h264").errors == "")
  }

  @Test(arguments: names) func threadsShareAPictureAsSlices(_ name: String) throws {
    var configuration = try h264()
    configuration.threads = 3
    let list = try Self.encode(name, configuration, frames: 10)
    #expect(try Tool.decode(list.stream, "h264").errors == "")
    var parser = PictureParser(.h264)
    for picture in list.pictures { #expect(picture.withUnsafeBytes { parser.parse($0) }.slices == 3) }
  }

  @Test(arguments: h264Factories.map(\.name)) func whatAnEngineCannotDoIsRefusedBeforeItIsOpened(_ name: String) throws
  {
    let factory = try #require(h264Factories.first { $0.name == name })
    func refused(_ change: (inout EncoderConfiguration) -> Void) throws {
      var configuration = try h264()
      change(&configuration)
      #expect(throws: Failure.self) { try factory.validate(configuration) }
    }
    try factory.validate(try h264())
    try refused { $0.codec = .mjpeg }
    try refused { $0.settings[.profile] = "extended" }
    try refused { $0.width = 641 }
    try refused { $0.height = 0 }
    try refused { $0.width = 100_000 }
    try refused { $0.settings[.bitrate] = 0 }
    try refused { $0.settings[.bitrate] = Int.max }
    try refused { $0.settings[.rateControl] = "smart" }
    try refused { $0.threads = 0 }
  }
}
