// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import Synchronization
import TestSupport
import Testing

@testable import Codecs

extension FrameSink where Self: ~Copyable {
  /// These engines work within `submit`, and say it by throwing.
  mutating func lost(_ pts: Int64, _ why: Failure) { Issue.record("unit \(pts) is lost: \(why)") }
}

/// What a decoder gave: numbers and times, and whatever a test wants of the pixels.
struct FrameList: FrameSink {
  var times: [Int64] = []
  var sizes: [String] = []
  var codes: [UInt32?] = []
  var complaints: [String] = []

  mutating func picture(_ frame: consuming Frame) {
    times.append(frame.pts)
    let (width, height) = (Int(frame.layout.width), Int(frame.layout.height))
    sizes.append("\(width)x\(height)")
    do {
      let luma = try PatternSourceTests.luma(frame)
      let code = luma.withUnsafeBytes { PatternCode.read(luma: $0, stride: width, width: width, height: height) }
      codes.append(code)
    } catch {
      complaints.append("\(error)")
    }
  }
}

/// Decoders of this build, each held to the same behaviour.
@Suite(.ownThread) struct DecoderTests {
  static let h264 = SoftwareCodecs.decoderFactories().filter { $0.codecs.contains(.h264) }.map(\.name)

  static func open(_ name: String, _ codec: Codec, buffers: Int = 6) throws -> any Decoder {
    let factory = try #require(SoftwareCodecs.decoderFactories().first { $0.name == name })
    return try factory.open(
      DecoderConfiguration(
        codec: codec, allocator: HeapAllocator(), user: .anonymous, poolName: "test", bufferCount: buffers))
  }

  static func decode(_ decoder: any Decoder, _ unit: [UInt8], _ pts: Int64, _ list: inout FrameList) throws {
    try unit.withUnsafeBytes { try decoder.submit($0, pts: pts, into: &list) }
  }

  /// Mean square error of the luma as decibels.
  static func psnr(_ a: [UInt8], _ b: [UInt8]) -> Double {
    var sum = 0
    for (x, y) in zip(a, b) { sum += (Int(x) - Int(y)) * (Int(x) - Int(y)) }
    return sum == 0 ? 99 : 10 * log10(255 * 255 * Double(a.count) / Double(sum))
  }

  struct LumaList: FrameSink {
    var pictures: [(pts: Int64, luma: [UInt8])] = []
    mutating func picture(_ frame: consuming Frame) {
      pictures.append((frame.pts, (try? PatternSourceTests.luma(frame)) ?? []))
    }
  }

  /// Keeps the pixels of the last picture.
  struct LastPicture: FrameSink {
    var luma: [UInt8] = []
    mutating func picture(_ frame: consuming Frame) { luma = (try? PatternSourceTests.luma(frame)) ?? [] }
  }

  @Test(arguments: h264, ["baseline", "high"])
  func whatOurEncoderMadeComesBackInOrderWithItsTimes(_ name: String, profile: String) throws {
    let made = try H264EncoderTests.encode(
      "openh264", try h264Configuration(profile: profile), frames: 40)
    let decoder = try Self.open(name, .h264)
    var list = FrameList()
    for (index, unit) in made.pictures.enumerated() { try Self.decode(decoder, unit, Int64(index) * 7, &list) }
    try decoder.drain(into: &list)
    #expect(list.times == (0..<40).map { Int64($0) * 7 })
    #expect(list.codes == (0..<40).map { UInt32($0) })
    #expect(Set(list.sizes) == ["640x360"] && list.complaints.isEmpty)
    #expect(decoder.layout?.format == .i420 && decoder.memoryKind == "heap")
    #expect(decoder.counters.damaged == 0 && decoder.counters.layoutChanges == 0)
    // Straight into the pool, or one copy of each picture, and the count says which.
    #expect(decoder.counters.bytesCopied == (name == "ffmpeg" ? 0 : 40 * 640 * 360 * 3 / 2))
    // The decoder takes a new stream after the end of one.
    var again = FrameList()
    for (index, unit) in made.pictures.enumerated() { try Self.decode(decoder, unit, Int64(index), &again) }
    try decoder.drain(into: &again)
    #expect(again.codes == list.codes)
    decoder.interrupt()
  }

  @Test(arguments: h264)
  func thePictureIsTheOneThatWentIn(_ name: String) throws {
    let configuration = try h264Configuration(bitrate: 8000)
    let source = try PatternSource(try request(.i420, 640, 360))
    let encoder = try OpenH264Factory().open(configuration)
    let decoder = try Self.open(name, .h264)
    var originals: [[UInt8]] = []
    var decoded = LumaList()
    for index in 0..<12 {
      let frame = try source.next().unwrapped()
      var made = PictureList()
      try encoder.submit(frame, EncodeDirective(), into: &made)
      originals.append(try PatternSourceTests.luma(frame))
      for unit in made.pictures {
        try unit.withUnsafeBytes { try decoder.submit($0, pts: Int64(index), into: &decoded) }
      }
    }
    try decoder.drain(into: &decoded)
    try #require(decoded.pictures.count == 12)
    for (pts, luma) in decoded.pictures {
      let quality = Self.psnr(originals[Int(pts)], luma)
      #expect(quality > 32, "frame \(pts): \(quality) dB")
    }
  }
  #if FFmpeg
    /// Fails while told to.
    private final class FailingAllocator: Allocator {
      let name = "failing"
      let fails = Atomic<Bool>(false)
      func allocate(size: Int, label: String) throws(Failure) -> any Memory {
        if fails.load(ordering: .relaxed) { throw Failure(.noMemory, "allocate", on: name) }
        return HeapMemory(size: size)
      }
    }

    @Test func aDrainThatFailsLeavesADecoderThatGoesOn() throws {
      // 4:4:4 is converted into the pool when it comes out, and pictures between others come out late.
      let made = try Tool.run(
        "ffmpeg",
        [
          "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=30", "-frames:v", "4", "-c:v", "libx264",
          "-pix_fmt",
          "yuv444p", "-bf", "2", "-f", "h264", "pipe:1",
        ])
      try #require(made.status == 0, "\(made.errors)")
      let units = AccessUnitSplitterTests.units(.h264, [UInt8](made.output), pieces: { _ in 1000 }).units
      try #require(units.count == 4)
      let allocator = FailingAllocator()
      let factory = try #require(SoftwareCodecs.decoderFactories().first { $0.name == "ffmpeg" })
      let decoder = try factory.open(
        DecoderConfiguration(
          codec: .h264, allocator: allocator, user: .anonymous, poolName: "test", bufferCount: 4))
      var list = FrameList()
      allocator.fails.store(true, ordering: .relaxed)
      for (index, unit) in units.prefix(1).enumerated() { try Self.decode(decoder, unit, Int64(index), &list) }
      try #require(list.times.isEmpty)
      #expect(throws: Failure.self) { try decoder.drain(into: &list) }
      allocator.fails.store(false, ordering: .relaxed)
      for (index, unit) in units.enumerated() { try Self.decode(decoder, unit, Int64(index), &list) }
      try decoder.drain(into: &list)
      #expect(list.times.sorted() == [0, 1, 2, 3])
    }
  #endif

  @Test(arguments: h264)
  func aStreamThatChangesItsSizeGoesOnAtTheNewOne(_ name: String) throws {
    let small = try H264EncoderTests.encode("openh264", try h264Configuration(320, 240), frames: 10)
    let large = try H264EncoderTests.encode("openh264", try h264Configuration(1280, 720), frames: 10)
    let decoder = try Self.open(name, .h264)
    var list = FrameList()
    for (index, unit) in (small.pictures + large.pictures + small.pictures).enumerated() {
      try Self.decode(decoder, unit, Int64(index), &list)
    }
    try decoder.drain(into: &list)
    let sizes = Array(repeating: "320x240", count: 10)
    #expect(list.sizes == sizes + Array(repeating: "1280x720", count: 10) + sizes)
    #expect(list.codes == (0..<3).flatMap { _ in (0..<10).map { UInt32($0) } })
    #expect(decoder.counters.layoutChanges == 2)
  }

  @Test(arguments: h264)
  func aDamagedUnitIsToldAndTheNextKeyPictureIsWhole(_ name: String) throws {
    let made = try H264EncoderTests.encode("openh264", try h264Configuration(gop: 10), frames: 40)
    var numbers = AccessUnitSplitterTests.Numbers(state: 3)
    let decoder = try Self.open(name, .h264)
    var list = FrameList()
    var refused = 0
    for (index, whole) in made.pictures.enumerated() {
      var unit = whole
      // The third group is damaged in every picture, behind the parameter sets.
      if (20..<30).contains(index) {
        for _ in 0..<unit.count / 8 {
          let place = Int.random(in: min(48, unit.count - 1)..<unit.count, using: &numbers)
          unit[place] = UInt8.random(in: 0...255, using: &numbers)
        }
      }
      do {
        try Self.decode(decoder, unit, Int64(index), &list)
      } catch let failure as Failure {
        #expect(failure.errno == .illegalByteSequence, "\(failure)")
        refused += 1
      }
    }
    try decoder.drain(into: &list)
    #expect(refused > 0 || decoder.counters.damaged > 0)
    let last = zip(list.times, list.codes).filter { $0.0 >= 30 }
    #expect(last.map(\.1) == (30..<40).map { UInt32($0) }, "whole again from the next key picture on")
  }

  @Test(arguments: h264 + ["turbojpeg"])
  func anyBytesAreRefusedOrTakenButNeverTrap(_ name: String) throws {
    var numbers = AccessUnitSplitterTests.Numbers(state: 11)
    let decoder = try Self.open(name, name == "turbojpeg" ? .mjpeg : .h264)
    var list = FrameList()
    for size in [1, 2, 5, 40, 1000, 5000] {
      for _ in 0..<10 {
        var unit = (0..<size).map { _ in UInt8.random(in: 0...255, using: &numbers) }
        let start: [UInt8] = name == "turbojpeg" ? [0xff, 0xd8, 0xff] : [0, 0, 0, 1]
        unit.replaceSubrange(0..<min(size, start.count), with: start.prefix(min(size, start.count)))
        do { try Self.decode(decoder, unit, 0, &list) } catch is Failure {}
      }
    }
    try decoder.flush()
  }

  @Test(arguments: [("turbojpeg", 640, 360), ("turbojpeg", 322, 242), ("ffmpeg", 640, 360)])
  func motionJPEGComesBackAsItWas(_ name: String, _ width: Int, _ height: Int) throws {
    guard SoftwareCodecs.decoderFactories().contains(where: { $0.name == name }) else {
      print("motionJPEGComesBackAsItWas: this build has no \(name)")
      return
    }
    let frame = try JPEGTests.picture(.i420, width, height)
    let encoder = try TurboJPEGFactory().open(try JPEGTests.configuration(width, height, quality: 95))
    var made = PictureList()
    try encoder.submit(frame, EncodeDirective(), into: &made)
    let decoder = try Self.open(name, .mjpeg)
    var last = LastPicture()
    try made.pictures[0].withUnsafeBytes { try decoder.submit($0, pts: 0, into: &last) }
    try decoder.drain(into: &last)
    #expect(Self.psnr(try PatternSourceTests.luma(frame), last.luma) > 35)
    #expect(decoder.counters.bytesCopied == 0)
  }

  @Test(arguments: ["turbojpeg", "ffmpeg"])
  func aPictureThatLacksItsEndMarkerIsWhole(_ name: String) throws {
    guard SoftwareCodecs.decoderFactories().contains(where: { $0.name == name }) else { return }
    let encoder = try TurboJPEGFactory().open(try JPEGTests.configuration(320, 240, quality: 95))
    var made = PictureList()
    try encoder.submit(try JPEGTests.picture(.i420, 320, 240), EncodeDirective(), into: &made)
    let decoder = try Self.open(name, .mjpeg)
    var (whole, open) = (LastPicture(), LastPicture())
    try made.pictures[0].withUnsafeBytes { try decoder.submit($0, pts: 0, into: &whole) }
    try made.pictures[0].dropLast(2).withUnsafeBytes { try decoder.submit($0, pts: 1, into: &open) }
    try decoder.drain(into: &open)
    #expect(!whole.luma.isEmpty && whole.luma == open.luma)
    #expect(decoder.counters.damaged == 0)
  }

  @Test(arguments: ["turbojpeg", "ffmpeg"])
  func aPictureOfSevenComponentsIsDamagedData(_ name: String) throws {
    guard SoftwareCodecs.decoderFactories().contains(where: { $0.name == name }) else { return }
    let encoder = try TurboJPEGFactory().open(try JPEGTests.configuration(320, 240, quality: 80))
    var made = PictureList()
    try encoder.submit(try JPEGTests.picture(.i420, 320, 240), EncodeDirective(), into: &made)
    let good = Array(made.pictures[0])
    let frame = try #require(good.indices.dropLast().first { good[$0] == 0xff && good[$0 + 1] == 0xc0 })
    var bad = Array(good[..<(frame + 2)])
    bad += [0, 29]
    bad += good[(frame + 4)..<(frame + 9)]
    bad.append(7)
    for component in 1...7 as ClosedRange<UInt8> { bad += [component, 0x11, 0] }
    bad += good[(frame + 19)...]
    let decoder = try Self.open(name, .mjpeg)
    var list = FrameList()
    let failure = #expect(throws: Failure.self) { try Self.decode(decoder, bad, 0, &list) }
    #expect(failure?.errno == .illegalByteSequence, "\(String(describing: failure))")
    try Self.decode(decoder, good, 1, &list)
    #expect(list.times == [1])
  }

  @Test(arguments: h264)
  func whatIsCroppedAtTheLeftIsCroppedThere(_ name: String) throws {
    let units = try JoiningBitstreamTests.made(
      "h264", frames: 3,
      [
        "-pix_fmt", "yuv420p", "-c:v", "libx264", "-bf", "0", "-bsf:v",
        "h264_metadata=crop_left=8:crop_top=6:crop_right=4:crop_bottom=2",
      ])
    let decoder = try Self.open(name, .h264)
    var list = FrameList()
    for (index, unit) in units.enumerated() { try Self.decode(decoder, unit, Int64(index), &list) }
    try decoder.drain(into: &list)
    #expect(list.sizes == ["308x232", "308x232", "308x232"])
  }

  @Test(arguments: [
    (["-pix_fmt", "yuv444p"], "High 4:4:4"), (["-pix_fmt", "yuv422p"], "High 4:2:2"),
    (["-pix_fmt", "yuv420p10le"], "High 10"), (["-pix_fmt", "yuv420p", "-flags", "+ildct+ilme"], "interlaced High"),
  ])
  func whatAnEngineDoesNotDecodeItNames(options: [String], words: String) throws {
    let units = try JoiningBitstreamTests.made("h264", frames: 3, options + ["-c:v", "libx264"])
    let decoder = try Self.open("openh264", .h264)
    var list = FrameList()
    let failure = #expect(throws: Failure.self) { try Self.decode(decoder, units[0], 0, &list) }
    #expect(
      failure?.errno == .notSupported && failure?.detail.hasSuffix(words) == true, "\(String(describing: failure))")
  }

  @Test(arguments: h264)
  func whatComesBeforeARecoveryPointIsNotShown(_ name: String) throws {
    let units = try JoiningBitstreamTests.h264("intra-refresh=1:bframes=0:keyint=20:repeat-headers=1", frames: 60)
    var parser = PictureParser(.h264)
    let infos = units.map { unit in unit.withUnsafeBytes { parser.parse($0) } }
    let point = try #require(infos.indices.first { infos[$0].isRecoveryPoint && $0 > 5 })
    let whole = try #require(infos.indices.first { infos[$0].isRecovered && $0 > point })
    let decoder = try Self.open(name, .h264)
    #expect(decoder.entry == .anywhere)
    var list = FrameList()
    // Its parameter sets, in front of a picture that is no key picture.
    let sets = units[0].withUnsafeBytes { AnnexBUnits($0).prefix(2).flatMap { [0, 0, 0, 1] + $0 } }
    for (index, unit) in units[5...].enumerated() {
      try Self.decode(decoder, index == 0 ? sets + unit : unit, Int64(index + 5), &list)
    }
    try decoder.drain(into: &list)
    #expect(list.times == (whole..<60).map { Int64($0) })
  }

  /// Where a JPEG picture says its size: behind the marker of a baseline frame, its length and its precision.
  @Test(
    arguments: [
      ("a length of Huffman tables that runs over", [0xff, 0xc4], 2, [0xff, 0xff]),
      ("a size it cannot fill", [0xff, 0xc0], 5, [0x3f, 0xf0, 0x3f, 0xf0]),
      ("no size", [0xff, 0xc0], 5, [0, 0, 0, 0]),
      ("a quantiser table that is not there", [0xff, 0xdb], 4, [0xff]),
    ] as [(String, [UInt8], Int, [UInt8])])
  func aDamagedPictureCostsNoneOfThoseAfterIt(_ what: String, marker: [UInt8], at: Int, bytes: [UInt8]) throws {
    let encoder = try TurboJPEGFactory().open(try JPEGTests.configuration(320, 240, quality: 80))
    var made = PictureList()
    try encoder.submit(try JPEGTests.picture(.i420, 320, 240), EncodeDirective(), into: &made)
    let good = Array(made.pictures[0])
    var bad = good
    let place = try #require(good.indices.dropLast().first { Array(good[$0..<$0 + 2]) == marker }) + at
    bad.replaceSubrange(place..<place + bytes.count, with: bytes)
    let decoder = try Self.open("turbojpeg", .mjpeg)
    var list = FrameList()
    try Self.decode(decoder, good, 0, &list)
    let pool = decoder.pool?.bufferSize
    for round in 1..<4 as Range<Int64> {
      let failure = #expect(throws: Failure.self) { try Self.decode(decoder, bad, round * 10, &list) }
      #expect(failure?.errno == .illegalByteSequence)
      try Self.decode(decoder, good, round, &list)
    }
    #expect(list.times == [0, 1, 2, 3])
    #expect(decoder.pool?.bufferSize == pool, "no memory is got for it")
  }

  #if FFmpeg
    @Test func picturesThatAreShownInAnotherOrderComeInTheOrderTheyAreShown() throws {
      let made = try Tool.run(
        "ffmpeg",
        [
          "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-t", "2", "-pix_fmt", "yuv420p", "-c:v",
          "libx264", "-bf", "3", "-g", "25", "-f", "h264", "pipe:1",
        ])
      try #require(made.status == 0, "\(made.errors)")
      let units = AccessUnitSplitterTests.units(.h264, Array(made.output), pieces: { _ in 4096 }).units
      try #require(units.count == 50)
      let decoder = try Self.open("ffmpeg", .h264)
      var list = FrameList()
      for (index, unit) in units.enumerated() { try Self.decode(decoder, unit, Int64(index), &list) }
      try decoder.drain(into: &list)
      #expect(list.times.count == 50)
      #expect(list.times != list.times.sorted(), "units were in another order")
      #expect(Set(list.times).count == 50, "each picture has the time of its own unit")
      #expect(decoder.counters.bytesCopied == 0)
    }

    @Test func whenTheGraphHoldsEveryPictureItIsToldAndGoesOnAfterwards() throws {
      struct Hoarder: FrameSink, ~Copyable {
        let kept = UnsafeMutablePointer<Frame>.allocate(capacity: 64)
        var count = 0
        mutating func picture(_ frame: consuming Frame) {
          (kept + count).initialize(to: frame)
          count += 1
        }
        mutating func letGo() {
          kept.deinitialize(count: count)
          count = 0
        }
        deinit { kept.deallocate() }
      }
      let made = try H264EncoderTests.encode("openh264", try h264Configuration(gop: 1000), frames: 40)
      let decoder = try Self.open("ffmpeg", .h264, buffers: 4)
      var hoarder = Hoarder()
      var told: Failure?
      var fed = 0
      while told == nil, fed < 40 {
        do {
          try made.pictures[fed].withUnsafeBytes { try decoder.submit($0, pts: 0, into: &hoarder) }
        } catch let failure as Failure {
          told = failure
        }
        fed += 1
      }
      #expect(told?.errno == .noBufferSpace)
      #expect(hoarder.count >= 4)
      hoarder.letGo()
      for unit in made.pictures[fed...] {
        try unit.withUnsafeBytes { try decoder.submit($0, pts: 0, into: &hoarder) }
        #expect(hoarder.count > 0)
        hoarder.letGo()
      }
    }
  #endif

  @Test func codedFilesAreReadWithoutDecodingThem() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "mpifs-coded-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let made = try H264EncoderTests.encode("openh264", try h264Configuration(320, 240), frames: 15)
    let file = folder.appending(path: "a.h264").path
    try made.stream.write(to: URL(filePath: file))
    let source = try CodedFileFactory().open(file, codec: nil)
    #expect(source.codec == .h264)
    var units: [[UInt8]] = []
    while let unit = try source.next() { units.append(Array(unit.bytes)) }
    #expect(units == made.pictures)
    #expect(throws: Failure.self) { try CodedFileFactory().open(file, codec: .mjpeg) }
    #expect(throws: Failure.self) { try CodedFileFactory().open(folder.path, codec: nil) }
    #expect(throws: Failure.self) { try CodedFileFactory().open("/dev/null", codec: nil) }
    #expect(throws: Failure.self) { try CodedFileFactory().open(file + "x", codec: nil) }
    let text = folder.appending(path: "text").path
    try Data("not coded at all\n".utf8).write(to: URL(filePath: text))
    #expect(throws: Failure.self) { try CodedFileFactory().open(text, codec: nil) }
  }
}

/// As `h264`, whose name the suite has taken.
private func h264Configuration(
  _ width: Int = 640, _ height: Int = 360, gop: Int = 30, bitrate: Int = 1000, profile: String = ""
) throws -> EncoderConfiguration { try h264(width, height, gop: gop, bitrate: bitrate, profile: profile) }
