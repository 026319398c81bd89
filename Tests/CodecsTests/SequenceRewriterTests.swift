// SPDX-License-Identifier: Apache-2.0
import CAllocationCount
import Foundation
import KernelChecks
import TestSupport
import Testing

@testable import Codecs
@testable import MediaCore

/// Parameter sets that are made to say a rate, a colour and a shape, with FFmpeg as the witness.
@Suite(.ownThread) struct SequenceRewriterTests {
  static let description = StreamDescription(
    color: ColorDescription(.bt2020, primaries: 9, transfer: 16, isFullRange: true), aspect: SampleAspect(8, 9),
    frameRate: FrameRate(30000, 1001) ?? .thirty)

  /// What engines are asked for: without any usability information or with all of it, with buffer models, scaling lists, fields,
  /// other samples, and sizes that are cropped to one line and one column.
  static let streams: [(name: String, codec: Codec, arguments: [String])] = [
    ("plain", .h264, ["-c:v", "libx264", "-pix_fmt", "yuv420p"]),
    (
      "hrd", .h264,
      [
        "-c:v", "libx264", "-x264-params", "nal-hrd=cbr:pic-struct=1:overscan=show:chromaloc=2", "-b:v", "300k",
        "-maxrate",
        "300k", "-bufsize", "300k", "-pix_fmt", "yuv420p",
      ]
    ),
    ("lists", .h264, ["-c:v", "libx264", "-x264-params", "cqm=jvt", "-pix_fmt", "yuv420p"]),
    ("fields", .h264, ["-c:v", "libx264", "-x264-params", "tff=1", "-pix_fmt", "yuv420p"]),
    ("444", .h264, ["-c:v", "libx264", "-pix_fmt", "yuv444p"]),
    ("10 bit", .h264, ["-c:v", "libx264", "-pix_fmt", "yuv422p10"]),
    ("coloured", .h264, ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-colorspace", "bt709", "-color_range", "pc"]),
    ("hevc", .h265, ["-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p"]),
    (
      "hevc hrd", .h265,
      [
        "-c:v", "libx265", "-x265-params",
        "log-level=none:hrd=1:vbv-maxrate=300:vbv-bufsize=300:bitrate=300:aud=1:range=limited:colorprim=bt709:chromaloc=2:"
          + "display-window=2,2,2,2:overscan=show:scaling-list=default", "-pix_fmt", "yuv420p",
      ]
    ),
    (
      "hevc 10 bit", .h265,
      ["-c:v", "libx265", "-x265-params", "log-level=none:temporal-layers=1", "-pix_fmt", "yuv422p10"]
    ),
  ]

  static func make(_ name: String, _ size: String) throws -> (Codec, Data) {
    let stream = try #require(streams.first { $0.name == name })
    let made = try Tool.run(
      "ffmpeg",
      ["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=\(size):d=0.5:r=10"] + stream.arguments + [
        "-f", stream.codec == .h264 ? "h264" : "hevc", "pipe:1",
      ])
    try #require(made.status == 0, "\(made.errors)")
    return (stream.codec, made.output)
  }

  struct NoRewriter: Error {}

  static func rewriter(_ codec: Codec) throws -> SequenceRewriter {
    guard let rewriter = SequenceRewriter(codec) else { throw NoRewriter() }
    return rewriter
  }

  static func rewrite(_ stream: Data, _ codec: Codec, _ description: StreamDescription) throws -> Data {
    var rewriter = try Self.rewriter(codec)
    var result = Data()
    stream.withUnsafeBytes { bytes in
      for unit in AnnexBUnits(bytes) {
        result += [0, 0, 0, 1]
        result += Data(rewriter.rewrite(unit, saying: description))
      }
    }
    return result
  }

  static func format(_ codec: Codec) -> String { codec == .h264 ? "h264" : "hevc" }

  /// The sets of a stream as FFmpeg's header reader prints them, without what is rewritten.
  static func traced(_ stream: Data, _ codec: Codec) throws -> (kept: [String], written: [String: Int]) {
    let log = try Tool.run(
      "ffmpeg",
      ["-f", format(codec), "-i", "pipe:0", "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"], input: stream
    ).errors
    let ours: Set<String> = [
      "aspect_ratio_info_present_flag", "aspect_ratio_idc", "sar_width", "sar_height", "video_signal_type_present_flag",
      "video_format", "video_full_range_flag", "colour_description_present_flag", "colour_primaries",
      "transfer_characteristics", "matrix_coefficients", "timing_info_present_flag", "num_units_in_tick", "time_scale",
      "vui_timing_info_present_flag", "vui_num_units_in_tick", "vui_time_scale", "vps_num_units_in_tick",
      "vps_time_scale",
    ]
    var kept: [String] = []
    var written: [String: Int] = [:]
    for line in log.split(separator: "\n") where line.hasPrefix("[trace_headers") {
      let fields = line.split(separator: " ")
      guard fields.count >= 6, let value = Int(fields[fields.count - 1]) else { continue }
      let name = String(fields[4])
      // As many as fill a byte.
      if name == "rbsp_alignment_zero_bit" { continue }
      if ours.contains(name) { written[name] = value } else { kept.append("\(name) \(fields[5]) \(value)") }
    }
    return (kept, written)
  }

  static func shown(_ stream: Data, _ codec: Codec) throws -> String {
    try Tool.run(
      "ffprobe",
      [
        "-v", "error", "-f", format(codec), "-show_entries",
        "stream=width,height,sample_aspect_ratio,color_range,color_space,color_transfer,color_primaries,r_frame_rate",
        "-of",
        "csv=p=0", "pipe:0",
      ], input: stream
    ).text
  }

  static func decoded(_ stream: Data, _ codec: Codec) throws -> Data {
    let result = try Tool.run(
      "ffmpeg",
      ["-v", "error", "-f", format(codec), "-i", "pipe:0", "-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"],
      input: stream)
    try #require(result.status == 0 && result.errors == "" && !result.output.isEmpty, "\(result.errors)")
    return result.output
  }

  @Test(arguments: streams.map(\.name), ["352x288", "214x148"])
  func whatIsAskedIsSaidAndNothingElseChanges(_ name: String, _ size: String) throws {
    let (codec, stream) = try Self.make(name, size)
    let made = try Self.rewrite(stream, codec, Self.description)
    let (before, after) = (try Self.traced(stream, codec), try Self.traced(made, codec))
    #expect(before.kept == after.kept)
    #expect(!before.kept.isEmpty)
    #expect(after.written["matrix_coefficients"] == 9 && after.written["video_full_range_flag"] == 1)
    #expect(after.written["sar_width"] == 8 && after.written["sar_height"] == 9)
    let dimensions = size.replacingOccurrences(of: "x", with: ",")
    #expect(
      try Self.shown(made, codec).hasPrefix("\(dimensions),8:9,pc,bt2020nc,smpte2084,bt2020,30000/1001")
        || name == "hevc hrd")
    #expect(try Self.decoded(made, codec) == Self.decoded(stream, codec))
    // Once more changes nothing, and what a stream says already is said in the same bits.
    #expect(try Self.rewrite(made, codec, Self.description) == made)
    // The runtime's own reader sees it too.
    var parser = PictureParser(codec)
    _ = made.withUnsafeBytes { parser.parse($0) }
    let syntax = try #require(parser.syntax)
    #expect(syntax.color == Self.description.color && syntax.aspect == Self.description.aspect)
    #expect(syntax.frameRate == Self.description.frameRate)
  }

  /// FFmpeg's own editor of these bits makes the same of them.
  @Test(arguments: ["plain", "lists", "444", "hevc"], ["352x288", "214x148"])
  func theBytesAreThoseOfFFmpegsEditor(_ name: String, _ size: String) throws {
    let (codec, stream) = try Self.make(name, size)
    let filter =
      codec == .h264
      ? "h264_metadata=sample_aspect_ratio=8/9:video_full_range_flag=1:colour_primaries=9:transfer_characteristics=16:"
        + "matrix_coefficients=9:tick_rate=60000/1001"
      : "hevc_metadata=sample_aspect_ratio=8/9:video_full_range_flag=1:colour_primaries=9:transfer_characteristics=16:"
        + "matrix_coefficients=9:tick_rate=30000/1001"
    let theirs = try Tool.run(
      "ffmpeg",
      [
        "-v", "error", "-f", Self.format(codec), "-i", "pipe:0", "-c", "copy", "-bsf:v", filter, "-f",
        Self.format(codec), "pipe:1",
      ],
      input: stream)
    try #require(theirs.status == 0, "\(theirs.errors)")
    func sets(_ stream: Data) -> [[UInt8]] {
      stream.withUnsafeBytes { bytes in
        // The editor gives H.265's video parameter set a rate too.
        AnnexBUnits(bytes).filter {
          codec == .h264 ? [7, 8].contains($0[0] & 31) : [33, 34].contains($0[0] >> 1 & 63)
        }.map {
          Array($0)
        }
      }
    }
    let ours = try Self.rewrite(stream, codec, Self.description)
    #expect(sets(ours) == sets(theirs.output))
    #expect(sets(ours) != sets(stream))
    // A video parameter set that has a rate follows.
    guard codec == .h265 else { return }
    var slower = Self.description
    slower.frameRate = try #require(FrameRate(10))
    let changed = try Self.traced(try Self.rewrite(theirs.output, codec, slower), codec)
    #expect(changed.written["vps_time_scale"] == 10 && changed.written["vps_num_units_in_tick"] == 1)
    #expect(changed.kept == (try Self.traced(theirs.output, codec)).kept)
  }

  /// What an engine of this build writes, at each of the sizes that are cropped differently.
  @Test(arguments: H264EncoderTests.names, [(64, 64), (34, 34), (322, 242), (1080, 606)])
  func theEnginesStreamsKeepTheirSize(_ name: String, _ size: (width: Int, height: Int)) throws {
    let list = try H264EncoderTests.encode(name, try h264(size.width, size.height, gop: 2), frames: 4)
    var description = Self.description
    description.frameRate = try #require(FrameRate(10))
    let made = try Self.rewrite(list.stream, .h264, description)
    #expect(try Self.shown(made, .h264).hasPrefix("\(size.width),\(size.height),8:9,pc,bt2020nc,smpte2084,bt2020,10/1"))
    #expect(try Self.decoded(made, .h264) == Self.decoded(list.stream, .h264))
  }

  @Test(arguments: streams.map(\.name)) func whateverComesNothingBreaks(_ name: String) throws {
    let (codec, stream) = try Self.make(name, "214x148")
    let type: UInt8 = codec == .h264 ? 7 : 33
    let sets: [[UInt8]] = stream.withUnsafeBytes { bytes in
      AnnexBUnits(bytes).filter { (codec == .h264 ? $0[0] & 31 : $0[0] >> 1 & 63) == type || $0[0] >> 1 & 63 == 32 }.map
      {
        Array($0)
      }
    }
    var rewriter = try Self.rewriter(codec)
    var random = SplitMix(state: 0x51f0_03aa_77c4_9d21)
    var (same, changed) = (0, 0)
    for round in 0..<4000 {
      var bytes = sets[round % sets.count]
      for _ in 0..<Int(random.next() % 6) {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next() >> 8)
      }
      if round % 3 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
      bytes.withUnsafeBytes { unit in
        let made = rewriter.rewrite(unit, saying: Self.description)
        guard !made.elementsEqual(unit) else {
          same += 1
          return
        }
        changed += 1
        // It may be a set of another kind now; one that was rewritten says what was asked.
        guard made.count > 2, (codec == .h264 ? made[0] & 31 : made[0] >> 1 & 63) == type else { return }
        let payload = UnsafeRawBufferPointer(rebasing: made[(codec == .h264 ? 1 : 2)...])
        let read =
          codec == .h264
          ? H264Sequence.read(payload).map { ($0.set.color, $0.set.frameRate) }
          : HEVCSequence.read(payload).map { ($0.color, $0.frameRate) }
        #expect(read?.0 == Self.description.color && read?.1 == Self.description.frameRate)
        var index = 0
        while index + 2 < made.count {
          #expect(made[index] != 0 || made[index + 1] != 0 || made[index + 2] > 2, "a start code inside")
          index += 1
        }
      }
    }
    #expect(same > 0 && changed > 0)
    for count in 0..<200 {
      let junk = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() % 3) }
      junk.withUnsafeBytes { _ = rewriter.rewrite($0, saying: Self.description) }
    }
    let long = [UInt8](repeating: 0x67, count: 100_000)
    long.withUnsafeBytes { #expect(rewriter.rewrite($0, saying: Self.description).count == 100_000) }
  }

  /// Numbers at the ends of their ranges have zeros in a row, which must not look like a start code.
  @Test func noNumberMakesAStartCode() throws {
    let list = try H264EncoderTests.encode("openh264", try h264(64, 64, gop: 1), frames: 1)
    for (numerator, denominator) in [
      (1, 1), (1, Int(Int32.max)), (Int(Int32.max), 1), (65536, 65535), (256, 1), (240_000, 1001),
    ] {
      for aspect in [SampleAspect(1, 65535), SampleAspect(256, 255), SampleAspect(1, 1), SampleAspect(4, 3)] {
        let description = StreamDescription(
          color: .bt601, aspect: aspect, frameRate: try #require(FrameRate(numerator, denominator)))
        let made = try Self.rewrite(list.stream, .h264, description)
        var parser = PictureParser(.h264)
        _ = made.withUnsafeBytes { parser.parse($0) }
        #expect(parser.syntax?.frameRate == description.frameRate)
        #expect(parser.syntax?.aspect == aspect)
        #expect(
          made.withUnsafeBytes { AnnexBUnits($0).map { _ in 1 }.count }
            == list.stream.withUnsafeBytes { AnnexBUnits($0).map { _ in 1 }.count })
      }
    }
  }
}

/// Parameter sets on the way from an engine to the ring.
@Suite(.ownThread) struct PictureFrontTests {
  private static let sequence: [UInt8] = [0x67, 0x42, 0xc0, 0x0a, 0x8c, 0x68, 0x42, 0x32]
  private static let pictureSet: [UInt8] = [0x68, 0xce, 0x3c, 0x80]
  private static func description(_ rate: Int) throws -> StreamDescription {
    StreamDescription(color: .bt601, aspect: .unknown, frameRate: try #require(FrameRate(rate)))
  }

  /// What comes of the pieces of one picture.
  private static func put(_ front: PictureFront, _ pieces: [[UInt8]]) -> [UInt8] {
    var result: [UInt8] = []
    for piece in pieces { piece.withUnsafeBytes { front.append($0) { result += $0 } } }
    front.begin()
    return result
  }

  private static func rate(_ bytes: [UInt8]) -> FrameRate? {
    bytes.withUnsafeBytes { bytes in
      AnnexBUnits(bytes).first { $0[0] & 31 == 7 }.flatMap {
        H264Sequence.read(UnsafeRawBufferPointer(rebasing: $0[1...]))?.set.frameRate
      }
    }
  }

  private static func kinds(_ bytes: [UInt8]) -> [UInt8] {
    bytes.withUnsafeBytes { AnnexBUnits($0).map { $0[0] & 31 } }
  }

  @Test func setsGivenOnceStandBeforeEveryKeyPictureWithLongStartCodes() throws {
    let front = try #require(PictureFront(.h264))
    front.wanted = try Self.description(30)
    let key: [UInt8] = [0, 0, 1, 0x65, 0x88, 1, 2]
    let first = Self.put(front, [[0, 0, 1] + Self.sequence + [0, 0, 1] + Self.pictureSet + key])
    #expect(Self.kinds(first) == [7, 8, 5])
    #expect(first[..<5] == [0, 0, 0, 1, 0x67] && first.suffix(7 + 8) == [0, 0, 0, 1] + Self.pictureSet + key)
    #expect(Self.rate(first) == FrameRate(30))
    let predicted: [UInt8] = [0, 0, 1, 0x41, 0x9a, 1, 0, 0, 1, 0x67, 1]
    #expect(Self.put(front, [predicted]) == predicted)
    // Behind a delimiter, before a message.
    let alone = Self.put(front, [[0, 0, 1, 0x09, 0x10, 0, 0, 1, 0x06, 5, 1, 0x80], key])
    #expect(Self.kinds(alone) == [9, 6, 7, 8, 5])
    let whole = Self.put(front, [[0, 0, 1, 0x09, 0x10, 0, 0, 1, 0x06, 5, 1, 0x80] + key])
    #expect(Self.kinds(whole) == [9, 7, 8, 6, 5])
    #expect(Self.put(front, [key]) == Array(first))
  }

  @Test func aChangedRateShowsWithTheNextKeyPictureAndNotBefore() throws {
    let front = try #require(PictureFront(.h264))
    front.wanted = try Self.description(30)
    let sets = [0, 0, 0, 1] + Self.sequence + [0, 0, 0, 1] + Self.pictureSet
    #expect(Self.rate(Self.put(front, [sets, [0, 0, 0, 1, 0x65, 0x88]])) == FrameRate(30))
    front.wanted = try Self.description(10)
    #expect(Self.rate(Self.put(front, [sets + [0, 0, 0, 1, 0x41, 0x9a]])) == FrameRate(30))
    #expect(Self.rate(Self.put(front, [sets + [0, 0, 0, 1, 0x65, 0x88]])) == FrameRate(10))
    #expect(Self.rate(Self.put(front, [[0, 0, 0, 1, 0x65, 0x88]])) == FrameRate(10))
    front.wanted = try Self.description(25)
    #expect(Self.rate(Self.put(front, [[0, 0, 0, 1, 0x65, 0x88]])) == FrameRate(25))
  }

  @Test func whatIsNoSetAndWhatIsTooLongPassesUnchanged() throws {
    let front = try #require(PictureFront(.h264))
    front.wanted = try Self.description(30)
    for bytes: [UInt8] in [
      [], [0], [0, 0, 1], [1, 2, 3], [0, 0, 0, 1, 0x67], [0, 0, 0, 1, 0x67, 0xff, 0xff],
      [0, 0, 0, 1, 0x67] + [UInt8](repeating: 0x55, count: 20_000) + [0, 0, 1, 0x65, 1],
    ] {
      #expect(Self.put(front, [bytes]) == bytes)
    }
  }

  /// An initialiser that gives up half-way is not followed by `deinit`: what it had allocated by then would stay for ever.
  @Test(arguments: [Codec.mjpeg, .vp8, .fwht])
  func codingsWithoutParameterSetsHaveNoFrontAndKeepNoMemory(_ codec: Codec) {
    var made = 0
    let allocations = fewestAllocations(by: allocation_count, in: 50) {
      if PictureFront(codec) != nil { made += 1 }
    }
    #expect(made == 0)
    // The object itself, which is given back.
    #expect(allocations <= 50)
  }

  @Test(arguments: [Codec.h264, .h265]) func nothingIsAllocatedForAPicture(_ codec: Codec) throws {
    let (_, stream) = try SequenceRewriterTests.make(codec == .h264 ? "hrd" : "hevc hrd", "352x288")
    let front = try #require(PictureFront(codec))
    front.wanted = SequenceRewriterTests.description
    var bytes = 0
    stream.withUnsafeBytes { stream in
      func round() {
        front.append(stream) { bytes += $0.count }
        front.begin()
      }
      round()
      let allocations = fewestAllocations(by: allocation_count, in: 50) { round() }
      #expect(allocations == 0)
    }
    #expect(bytes > 151 * stream.count)
  }
}
