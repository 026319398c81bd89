// SPDX-License-Identifier: Apache-2.0
#if X265
  import Base
  import Foundation
  import MediaCore
  import TestSupport
  import Testing

  @testable import Codecs

  func h265(
    _ width: Int = 640, _ height: Int = 360, fps: Int = 30, gop: Int = 30, bitrate: Int = 1000
  ) throws -> EncoderConfiguration {
    var configuration = try h264(width, height, fps: fps, gop: gop, bitrate: bitrate)
    configuration.codec = .h265
    return configuration
  }

  func fixed(_ key: Int, _ predicted: Int, gop: Int = 10) throws -> EncoderConfiguration {
    var fixed = try h265(gop: gop)
    fixed.settings[.rateControl] = "fixqp"
    (fixed.settings[.keyQP], fixed.settings[.predictedQP]) = (key, predicted)
    return fixed
  }

  @Suite(.ownThread) struct H265EncoderTests {
    static func encode(
      _ configuration: EncoderConfiguration, frames count: Int,
      change: (Int, any Encoder, inout EncodeDirective) throws -> Void = { _, _, _ in }
    ) throws -> PictureList {
      let factory = X265Factory()
      let source = try PatternSource(try request(.i420, configuration.width, configuration.height))
      let encoder = ControlledEncoder(try factory.open(configuration), configuration, factory)
      var list = PictureList()
      for index in 0..<count {
        var directive = EncodeDirective()
        try change(index, encoder, &directive)
        let frame = try source.next().unwrapped()
        try encoder.submit(frame, directive, into: &list)
        // Nothing waits for a later frame.
        #expect(list.pictures.count == index + 1)
      }
      try encoder.drain(into: &list)
      return list
    }

    static func infos(_ list: PictureList) -> [PictureInfo] {
      var parser = PictureParser(.h265)
      return list.pictures.map { picture in picture.withUnsafeBytes { parser.parse($0) } }
    }

    @Test func decodesWithoutAnErrorAndShowsEveryFrameInOrder() throws {
      var configuration = try h265()
      configuration.settings[.profile] = "main"
      let list = try Self.encode(configuration, frames: 45)
      #expect(list.pictures.count == 45)
      try expectPattern(list, "hevc", pictures: 45)
    }

    @Test func keyPicturesComeExactlyEveryGOPAndAChangeOfItCounts() throws {
      let list = try Self.encode(try h265(gop: 12), frames: 60) { index, encoder, _ in
        if index == 30 { try expectTaken(encoder, h265(gop: 7)) }
      }
      let pictures = try Tool.pictures(list.stream, "hevc")
      #expect(pictures.indices.filter { pictures[$0].key } == [0, 12, 24, 31, 38, 45, 52, 59])
      #expect(pictures.map(\.type) == pictures.map { $0.key ? "I" : "P" })
    }

    /// The library's own shortest distance of key pictures does not hold.
    @Test func anIDRPictureComesWhenAskedAndTheGOPCountsFromIt() throws {
      let list = try Self.encode(try h265(gop: 20), frames: 40) { index, _, directive in
        if index == 5 || index == 6 { directive.type = .idr }
      }
      let pictures = try Tool.pictures(list.stream, "hevc")
      #expect(pictures.indices.filter { pictures[$0].key } == [0, 5, 6, 26])
      // IDR pictures, not CRA, with parameter sets before each: the stream decodes from any of them.
      for index in [0, 5, 6, 26] {
        let slices = list.pictures[index].withUnsafeBytes { AnnexBUnits($0).map { $0[0] >> 1 & 63 } }
        #expect(slices == [32, 33, 34, slices.last == 19 ? 19 : 20], "\(slices)")
        let decoded = try Tool.decode(Data(list.pictures[index...].joined()), "hevc")
        #expect(decoded.errors == "")
      }
    }

    @Test(arguments: [400, 1500]) func theBitrateIsHeld(_ bitrate: Int) throws {
      let list = try Self.encode(try h265(gop: 60, bitrate: bitrate), frames: 180)
      let held = Double(list.bits(60..<180)) / 4 / 1000
      #expect(abs(held / Double(bitrate) - 1) < 0.2, "\(held) kbps")
    }

    @Test func aLiveBitrateIsSeenInTheBits() throws {
      let list = try Self.encode(try h265(gop: 60, bitrate: 1500), frames: 240) { index, encoder, _ in
        if index == 120 { try expectTaken(encoder, h265(gop: 60, bitrate: 400)) }
      }
      let before = Double(list.bits(60..<120)) / 2 / 1000
      let after = Double(list.bits(180..<240)) / 2 / 1000
      #expect(abs(before / 1500 - 1) < 0.25, "\(before) kbps")
      #expect(abs(after / 400 - 1) < 0.25, "\(after) kbps")
      #expect(Self.infos(list).filter(\.isKey).count == 4)
    }

    @Test func ratesAndBoundsAreTakenWhileItRunsSizeAndSyntaxAreNot() throws {
      _ = try Self.encode(try h265(), frames: 1) { _, encoder, _ in
        try expectTaken(encoder, h265(bitrate: 400))
        try expectTaken(encoder, h265(fps: 25))
        var other = try h265()
        (other.settings[.minQP], other.settings[.maxQP], other.settings[.maxBitrate]) = (12, 40, 3000)
        try expectTaken(encoder, other)
        try expectTaken(encoder, h265(320, 180), false)
        for key in [SettingKey.deblocking, .deblockingBeta, .chromaQPOffset] {
          var syntax = other
          syntax.settings[key] = 0
          try expectTaken(encoder, syntax, false)
        }
        for mode in ["vbr", "fixqp", "avbr", "cbr"] {
          other.settings[.rateControl] = mode
          try expectTaken(encoder, other)
        }
      }
    }

    @Test func theSyntaxThatIsAskedForIsThatOfTheStream() throws {
      func syntax(_ change: (inout ObjectSettings) -> Void) throws -> StreamSyntax {
        var configuration = try h265()
        change(&configuration.settings)
        let list = try Self.encode(configuration, frames: 2)
        #expect(try Tool.decode(list.stream, "hevc").errors == "")
        var parser = PictureParser(.h265)
        for picture in list.pictures { _ = picture.withUnsafeBytes { parser.parse($0) } }
        return try #require(parser.syntax)
      }
      let usual = try syntax { _ in }
      #expect(usual.deblockingDisabled == 0 && usual.deblockingBeta == 0)
      #expect(usual.chromaQPOffset == 0 && usual.crQPOffset == 0)
      #expect(try syntax { $0[.deblocking] = 0 }.deblockingDisabled == 1)
      #expect(try syntax { $0[.deblockingBeta] = -3 }.deblockingBeta == -3)
      let chroma = try syntax { $0[.chromaQPOffset] = 5 }
      #expect(chroma.chromaQPOffset == 5 && chroma.crQPOffset == 5)
    }

    @Test func theHeadersStateTheRate() throws {
      for fps in [10, 25] {
        let list = try Self.encode(try h265(fps: fps), frames: 1)
        var parser = PictureParser(.h265)
        _ = list.pictures[0].withUnsafeBytes { parser.parse($0) }
        #expect(parser.syntax?.frameRate == FrameRate(fps))
      }
    }

    @Test func aFixedQuantiserIsTheOneInTheStreamAndChangesAtOnce() throws {
      let list = try Self.encode(try fixed(20, 30), frames: 40) { index, encoder, _ in
        if index == 15 { try expectTaken(encoder, try fixed(38, 45)) }
        if index == 30 { try expectTaken(encoder, try fixed(0, 51)) }
      }
      let infos = Self.infos(list)
      #expect(infos.indices.filter { infos[$0].isKey } == [0, 10, 20, 30])
      let wanted = infos.indices.map { index in
        let (key, predicted) = index < 15 ? (20, 30) : index < 30 ? (38, 45) : (0, 51)
        return infos[index].isKey ? key : predicted
      }
      #expect(infos.map { $0.qp ?? -1 } == wanted)
      let decoded = try Tool.decode(list.stream, "hevc")
      #expect(decoded.status == 0 && decoded.errors == "")
      // What is left to the engine is what is said to be its own.
      var own = try h265(gop: 10, bitrate: 50)
      own.settings[.rateControl] = "fixqp"
      let found = Self.infos(try Self.encode(own, frames: 12)).map { $0.qp ?? -1 }
      #expect(found == [25] + [Int](repeating: 28, count: 9) + [25, 28])
    }

    /// With far too few bits the quantiser would go to the top, with far too many to the bottom.
    @Test(arguments: [(30, 33), (20, 22)])
    func theQuantiserStaysWithinItsBoundsWhateverTheBitrate(_ bounds: (low: Int, high: Int)) throws {
      for bitrate in [20, 20_000] {
        var bounded = try h265(320, 180, gop: 10, bitrate: bitrate)
        (bounded.settings[.minQP], bounded.settings[.maxQP]) = (bounds.low, bounds.high)
        let found = Self.infos(try Self.encode(bounded, frames: 40)).compactMap(\.qp)
        #expect(found.count == 40)
        #expect(found.allSatisfy { bounds.low...bounds.high ~= $0 }, "\(bitrate) kbps: \(found)")
        #expect(found.last == (bitrate == 20 ? bounds.high : bounds.low), "\(bitrate) kbps: \(found)")
      }
    }

    /// The mean over its blocks, which all have the one that was asked for.
    @Test func theQPOfAPictureIsTheOneTheLibraryCounts() throws {
      let encoder = try X265Encoder(try h265())
      let source = try PatternSource(try request())
      var list = PictureList()
      var parser = PictureParser(.h265)
      for (index, qp) in [30, 0, 51, 17, 18, 45, 3, 26].enumerated() {
        let frame = try source.next().unwrapped()
        try encoder.submit(frame, EncodeDirective(type: index % 4 == 0 ? .idr : nil, qp: qp), into: &list)
        let info = list.pictures[index].withUnsafeBytes { parser.parse($0) }
        #expect(info.qp == qp && encoder.lastQP == Double(qp), "picture \(index)")
        #expect(info.isKey == (index % 4 == 0))
      }
    }

    /// One beside the caller's, whatever the machine has, and its processor time is known.
    @Test func itHasOneThreadAndTellsItsProcessorTime() throws {
      let encoder = try X265Encoder(try h265())
      #expect(encoder.threads == 1)
      let source = try PatternSource(try request())
      var list = PictureList()
      var before = encoder.processorTime
      for _ in 0..<5 {
        let frame = try source.next().unwrapped()
        try encoder.submit(frame, EncodeDirective(), into: &list)
        #expect(encoder.processorTime > before)
        before = encoder.processorTime
      }
    }

    @Test func aFrameOfAnotherSizeIsRefusedAndTheChannelGoesOn() throws {
      let encoder = try X265Factory().open(try h265())
      var list = PictureList()
      let wrong = try makeFrame(.i420, 320, 180)
      #expect(throws: Failure.self) { try encoder.submit(wrong, EncodeDirective(), into: &list) }
      let right = try makeFrame(.i420, 640, 360)
      try encoder.submit(right, EncodeDirective(), into: &list)
      #expect(list.pictures.count == 1 && !encoder.isBroken)
    }

    @Test(arguments: [(16, 16), (34, 18), (30, 640), (322, 242), (1920, 1080), (1080, 1920), (16, 4216)])
    func everySizeDecodesAtThatSize(_ size: (width: Int, height: Int)) throws {
      let configuration = try h265(size.width, size.height, gop: 1)
      let encoder = ControlledEncoder(try X265Factory().open(configuration), configuration, X265Factory())
      var list = PictureList()
      for _ in 0..<3 {
        let frame = try makeFrame(.i420, size.width, size.height)
        try encoder.submit(frame, EncodeDirective(), into: &list)
      }
      let decoded = try Tool.decode(list.stream, "hevc")
      #expect(decoded.errors == "")
      #expect(decoded.output.count == 3 * size.width * size.height * 3 / 2)
      #expect(try Tool.pictures(list.stream, "hevc").map(\.key) == [true, true, true])
      var parser = PictureParser(.h265)
      _ = list.pictures[0].withUnsafeBytes { parser.parse($0) }
      #expect(parser.syntax?.width == size.width && parser.syntax?.height == size.height)
      #expect(parser.syntax?.profileName == "main")
    }

    @Test(arguments: [(1, 30, 1), (50, 1, 2), (100_000, 120, 1), (1_000_000, 30, 1), (2000, 30000, 1001)])
    func extremesAreTaken(_ rate: (kilobits: Int, numerator: Int, denominator: Int)) throws {
      var extreme = try h265(gop: 10, bitrate: rate.kilobits)
      extreme.frameRate = try #require(FrameRate(rate.numerator, rate.denominator))
      let list = try Self.encode(extreme, frames: 12)
      #expect(Self.infos(list).allSatisfy { $0.qp.map { 0...51 ~= $0 } ?? false })
      #expect(try Tool.decode(list.stream, "hevc").errors == "")
    }

    @Test func whatItCannotDoIsRefusedBeforeItIsOpened() throws {
      let factory = X265Factory()
      func refused(_ wanted: Failure, _ change: (inout EncoderConfiguration) -> Void) throws {
        var configuration = try h265()
        change(&configuration)
        do throws(Failure) {
          try factory.validate(configuration)
          Issue.record("not refused: \(wanted)")
        } catch {
          #expect(error.errno == wanted.errno && error.operation == wanted.operation, "\(error)")
          #expect(error.subject == "x265" && !error.detail.isEmpty)
        }
      }
      try factory.validate(try h265())
      try refused(Failure(.notSupported, "codec", on: "")) { $0.codec = .h264 }
      try refused(Failure(.invalidArgument, "profile", on: "")) { $0.settings[.profile] = "high" }
      try refused(Failure(.invalidArgument, "size", on: "")) { $0.width = 641 }
      try refused(Failure(.invalidArgument, "size", on: "")) { $0.height = 361 }
      try refused(Failure(.outOfRange, "size", on: "")) { $0.height = 8 }
      try refused(Failure(.outOfRange, "size", on: "")) { $0.width = 100_000 }
      try refused(Failure(.outOfRange, "size", on: "")) { ($0.width, $0.height) = (16384, 16384) }
      try refused(Failure(.outOfRange, "size", on: "")) { ($0.width, $0.height) = (16, 4218) }
      // What is not refused is what the library opens.
      _ = try factory.open(try h265(4216, 16, fps: 240))
      try refused(Failure(.outOfRange, "bitrate", on: "")) { $0.settings[.bitrate] = 0 }
      try refused(Failure(.outOfRange, "bitrate", on: "")) { $0.settings[.bitrate] = Int.max }
      try refused(Failure(.outOfRange, "qp_i", on: "")) { $0.settings[.keyQP] = 52 }
      try refused(Failure(.notSupported, "rc_mode", on: "")) { $0.settings[.rateControl] = "smart" }
      try refused(Failure(.outOfRange, "threads", on: "")) { $0.threads = 0 }
    }

    /// Side by side, as channels are: the library's tables are filled by the first one opened.
    @Test func severalAreOpenedAtOnce() throws {
      let workers = (0..<4).map { _ in
        Background { try Self.encode(try h265(320, 180), frames: 20).stream }
      }
      for worker in workers {
        let stream = try worker.value
        #expect(try Tool.pictures(stream, "hevc").count == 20)
        #expect(try Tool.decode(stream, "hevc").errors == "")
      }
    }
  }
#endif
