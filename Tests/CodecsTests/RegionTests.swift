// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// Engines that take a quantiser for each block, each with its coding.
private let regionEngines: [(factory: any EncoderFactory, codec: Codec)] = SoftwareCodecs.encoderFactories().flatMap {
  factory in
  factory.codecs.filter { factory.settings(for: $0)["roi0"] != nil }.map { (factory, $0) }
}

/// Regions with a quantiser of their own, seen in the decoded pictures, and in the quantisers FFmpeg finds in the blocks.
@Suite(.ownThread) struct RegionTests {
  /// Not whole blocks in either direction.
  static let (width, height) = (330, 202)
  static let engines = regionEngines.map(\.factory.name)

  private func configuration(_ engine: String, fixed qp: Int?) throws -> EncoderConfiguration {
    let codec = try #require(regionEngines.first { $0.factory.name == engine }?.codec)
    var configuration = try h264(Self.width, Self.height, gop: 4, bitrate: 900)
    configuration.codec = codec
    if let qp {
      configuration.settings[.rateControl] = "fixqp"
      (configuration.settings[.keyQP], configuration.settings[.predictedQP]) = (qp, qp)
    }
    return configuration
  }

  private static func region(_ number: Int) -> SettingKey<PictureRegion> { SettingKey<PictureRegion>.regions[number] }

  /// A picture in which no block is like the last picture's: busy above, ever flatter below.
  private func frame(_ number: Int) throws -> Frame {
    var frame = try makeFrame(.i420, Self.width, Self.height)
    frame.pts = Int64(number) * 33_333
    var state = UInt64(number) &* 0x9E37_79B9_7F4A_7C15 &+ 1
    let pixels = try frame.beginPixels(write: true)
    for row in 0..<Self.height {
      let depth = 120 - row / 16 * 6
      for column in 0..<Self.width {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        pixels.plane0.base[row * Int(pixels.plane0.stride) + column] = UInt8(128 + Int(state >> 40) % depth - depth / 2)
      }
    }
    for (plane, salt) in [(pixels.plane1, 3), (pixels.plane2, 7)] {
      for row in 0..<Self.height / 2 {
        for column in 0..<Self.width / 2 {
          plane.base[row * Int(plane.stride) + column] = UInt8(100 + (row * salt + column * 5 + number) % 40)
        }
      }
    }
    try frame.endPixels(write: true)
    return frame
  }

  private func encode(
    _ engine: String, _ configuration: EncoderConfiguration, frames count: Int = 6,
    change: (Int, any Encoder) throws -> Void = { _, _ in }
  ) throws -> PictureList {
    let factory = try #require(regionEngines.first { $0.factory.name == engine }?.factory)
    try factory.validate(configuration)
    let encoder = ControlledEncoder(try factory.open(configuration), configuration, factory)
    var list = PictureList()
    for number in 0..<count {
      try change(number, encoder)
      try encoder.submit(try frame(number), EncodeDirective(), into: &list)
    }
    try encoder.drain(into: &list)
    #expect(list.pictures.count == count)
    return list
  }

  /// The luma of each picture.
  private func decode(_ list: PictureList, _ codec: Codec) throws -> [Data] {
    let decoded = try Tool.decode(list.stream, codec == .h264 ? "h264" : "hevc")
    #expect(decoded.status == 0 && decoded.errors == "")
    let size = Self.width * Self.height * 3 / 2
    let count = decoded.output.count / size
    return (0..<count).map { decoded.output.subdata(in: $0 * size..<$0 * size + Self.width * Self.height) }
  }

  /// PSNR of luma, inside an area of whole blocks and outside of it.
  private func quality(_ pictures: [Data], _ area: Rectangle) throws -> (inside: Double, outside: Double) {
    var (sums, counts) = ([0.0, 0.0], [0.0, 0.0])
    for (number, picture) in pictures.enumerated() {
      let source = try frame(number)
      let pixels = try source.beginPixels(write: false)
      for row in 0..<Self.height {
        for column in 0..<Self.width {
          let isInside =
            (area.x..<area.x + area.width).contains(column) && (area.y..<area.y + area.height).contains(row)
          let difference =
            Double(pixels.plane0.base[row * Int(pixels.plane0.stride) + column])
            - Double(picture[row * Self.width + column])
          sums[isInside ? 0 : 1] += difference * difference
          counts[isInside ? 0 : 1] += 1
        }
      }
      try source.endPixels(write: false)
    }
    func decibels(_ index: Int) -> Double { 10 * log10(255 * 255 * counts[index] / sums[index]) }
    return (decibels(0), decibels(1))
  }

  /// The quantiser of each block of each picture, as FFmpeg's decoder finds it.
  private func quantisers(_ list: PictureList) throws -> [[[Int]]] {
    let outcome = try Tool.run(
      "ffmpeg",
      [
        "-hide_banner", "-v", "debug", "-threads", "1", "-debug:v", "qp", "-f", "h264", "-i", "pipe:0", "-fps_mode",
        "passthrough", "-f", "null", "-",
      ], input: list.stream)
    #expect(outcome.status == 0)
    var pictures: [[[Int]]] = []
    for line in outcome.errors.split(separator: "\n") {
      guard let end = line.lastIndex(of: "]") else { continue }
      let text = line[line.index(after: end)...].drop { $0 == " " }
      if text.hasPrefix("New frame, type: ") { pictures.append([]) }
      // Two characters a block.
      guard !pictures.isEmpty, text.count == (Self.width + 15) / 16 * 2, text.allSatisfy({ $0.isNumber || $0 == " " })
      else { continue }
      let characters = Array(text)
      pictures[pictures.count - 1].append(
        stride(from: 0, to: characters.count, by: 2).compactMap {
          Int(String(characters[$0..<$0 + 2]).trimmingCharacters(in: .whitespaces))
        })
    }
    // Streams are looked at before they are decoded: those pictures are there twice.
    return Array(pictures.suffix(list.pictures.count))
  }

  @Test(arguments: engines, [-12, 12])
  func aRegionIsAsMuchBetterOrWorseAsAsked(_ engine: String, difference: Int) throws {
    let area = Rectangle(x: 64, y: 32, width: 128, height: 96)
    let plain = try configuration(engine, fixed: difference < 0 ? 32 : 20)
    var changed = plain
    changed.settings[Self.region(0)] = PictureRegion(area, qp: difference, isAbsolute: false)
    let before = try quality(decode(encode(engine, plain), plain.codec), area)
    let after = try quality(decode(encode(engine, changed), plain.codec), area)
    // Six steps of the quantiser halve or double its width: six decibels, where what is coded is noise.
    #expect(abs(after.inside - before.inside + Double(difference)) < 4, "\(before), \(after)")
    #expect(abs(after.outside - before.outside) < 0.6, "\(before), \(after)")
  }

  @Test(arguments: engines) func anAbsoluteQuantiserIsThatWhateverThePictureHas(_ engine: String) throws {
    let area = Rectangle(x: 128, y: 64, width: 96, height: 96)
    var qualities: [(inside: Double, outside: Double)] = []
    for qp in [24, 40] {
      var configuration = try configuration(engine, fixed: qp)
      configuration.settings[Self.region(7)] = PictureRegion(area, qp: 30, isAbsolute: true)
      qualities.append(try quality(decode(encode(engine, configuration), configuration.codec), area))
    }
    #expect(abs(qualities[0].inside - qualities[1].inside) < 0.6, "\(qualities)")
    #expect(qualities[0].outside - qualities[1].outside > 8, "\(qualities)")
  }

  /// Also where the engine spreads quantisers by texture, and where blocks reach beyond the picture.
  @Test(arguments: ["fixqp", "cbr"])
  func eachBlockHasTheQuantiserAskedAndTheLaterRegionHolds(_ mode: String) throws {
    guard Self.engines.contains("x264") else { return }
    var configuration = try configuration("x264", fixed: mode == "fixqp" ? 28 : nil)
    configuration.settings[Self.region(1)] = PictureRegion(
      Rectangle(x: 16, y: 16, width: 314, height: 186), qp: 16, isAbsolute: true)
    configuration.settings[Self.region(2)] = PictureRegion(
      Rectangle(x: 70, y: 40, width: 60, height: 200), qp: 27, isAbsolute: true)
    let pictures = try quantisers(try encode("x264", configuration))
    try #require(pictures.count == 6 && pictures.allSatisfy { $0.count == 13 && $0.allSatisfy { $0.count == 21 } })
    for picture in pictures {
      for (row, line) in picture.enumerated() {
        for (column, found) in line.enumerated() where row >= 1 && column >= 1 {
          let isLater = (4...8).contains(column) && row >= 2
          #expect(found == (isLater ? 27 : 16), "block \(column) of row \(row)")
        }
      }
      if mode == "fixqp" { #expect(picture[0].allSatisfy { $0 == 28 } && picture.allSatisfy { $0[0] == 28 }) }
    }
    guard mode == "cbr" else { return }
    let spread = Set(try quantisers(encode("x264", try self.configuration("x264", fixed: nil)))[1].flatMap(\.self))
    #expect(spread.count > 1, "without regions the engine spreads them: \(spread)")
  }

  @Test func aRegionMovesWithTheNextPictureAndWithoutAKeyPicture() throws {
    guard Self.engines.contains("x264") else { return }
    var first = try configuration("x264", fixed: 28)
    first.settings[.gop] = 100
    first.settings[Self.region(0)] = PictureRegion(
      Rectangle(x: 0, y: 0, width: 64, height: 64), qp: -12, isAbsolute: false)
    var second = first
    second.settings[Self.region(0)] = PictureRegion(
      Rectangle(x: 64, y: 64, width: 64, height: 64), qp: 4, isAbsolute: false)
    let list = try encode("x264", first) { number, encoder in if number == 3 { try expectTaken(encoder, second) } }
    let pictures = try quantisers(list)
    try #require(pictures.count == 6 && pictures.allSatisfy { $0.count == 13 })
    #expect(pictures.map { $0[1][1] } == [16, 16, 16, 28, 28, 28])
    #expect(pictures.map { $0[5][5] } == [28, 28, 28, 32, 32, 32])
    #expect(try Tool.pictures(list.stream, "h264").map(\.key) == [true, false, false, false, false, false])
  }

  /// What is asked for is kept within the bounds of the rate control, which are those of every block.
  @Test(arguments: engines) func regionsKeepToTheBounds(_ engine: String) throws {
    var bounded = try configuration(engine, fixed: nil)
    (bounded.settings[.minQP], bounded.settings[.maxQP]) = (28, 40)
    let area = Rectangle(x: 64, y: 32, width: 128, height: 96)
    func inside(_ difference: Int) throws -> Double {
      var configuration = bounded
      configuration.settings[.bitrate] = 3
      configuration.settings[Self.region(0)] = PictureRegion(area, qp: difference, isAbsolute: false)
      return try quality(decode(encode(engine, configuration), configuration.codec), area).inside
    }
    // The rate control is at 40, for want of bits: twelve less is the least there may be.
    let (most, more) = (try inside(-12), try inside(-40))
    #expect(abs(most - more) < 0.3, "\(most), \(more)")
    #expect(throws: Failure.self) {
      var configuration = bounded
      configuration.settings[Self.region(0)] = PictureRegion(area, qp: 20, isAbsolute: true)
      let settings = try #require(regionEngines.first { $0.factory.name == engine }).factory.settings(
        for: bounded.codec)
      try configuration.checkRegions(obeyed: settings, knowsSize: true)
    }
  }
}
