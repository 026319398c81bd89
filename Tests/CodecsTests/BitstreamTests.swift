// SPDX-License-Identifier: Apache-2.0
import Foundation
import KernelChecks
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// The parser against what FFmpeg's own header reader prints for the same bytes.
@Suite(.ownThread) struct BitstreamTests {
  /// One slice as `trace_headers` prints it.
  struct TracedSlice {
    var type = 0
    var qpDelta = 0
    var firstMacroblock = 0
    var isIDR = false
    var alpha = 0
  }
  struct Trace {
    var slices: [TracedSlice] = []
    var values: [String: Int] = [:]
  }

  static func trace(_ stream: Data) throws -> Trace {
    let log = try Tool.run(
      "ffmpeg", ["-f", "h264", "-i", "pipe:0", "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"],
      input: stream
    ).errors
    var trace = Trace()
    for line in log.split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.first == "[trace_headers", fields.count >= 6, let value = Int(fields[fields.count - 1]),
        fields[fields.count - 2] == "="
      else { continue }
      let name = String(fields[4])
      trace.values[name] = value
      switch name {
      case "first_mb_in_slice":
        trace.slices.append(TracedSlice(firstMacroblock: value, isIDR: trace.values["nal_unit_type"] == 5))
      case "slice_type": trace.slices[trace.slices.count - 1].type = value % 5
      case "slice_qp_delta": trace.slices[trace.slices.count - 1].qpDelta = value
      case "slice_alpha_c0_offset_div2": trace.slices[trace.slices.count - 1].alpha = value
      default: break
      }
    }
    return trace
  }

  /// Parses each picture and holds it to the trace.
  static func compare(_ pictures: [[UInt8]]) throws -> StreamSyntax {
    let trace = try trace(Data(pictures.joined()))
    let initial = 26 + (trace.values["pic_init_qp_minus26"] ?? 0)
    var parser = PictureParser(.h264)
    var next = 0
    for (index, picture) in pictures.enumerated() {
      let info = picture.withUnsafeBytes { parser.parse($0) }
      #expect(info.bits == picture.count * 8)
      try #require(info.slices > 0 && next + info.slices <= trace.slices.count, "picture \(index)")
      let slices = trace.slices[next..<next + info.slices]
      next += info.slices
      #expect(slices.first?.firstMacroblock == 0)
      let types = Set(slices.map(\.type))
      let type: PictureType =
        slices.contains { $0.isIDR } ? .idr : types.contains(1) ? .b : types.contains(0) ? .p : .i
      #expect(info.type == type, "picture \(index)")
      #expect(info.isKey == (type == .idr))
      let sum = slices.reduce(0) { $0 + initial + $1.qpDelta }
      #expect(info.qp == (sum + slices.count / 2) / slices.count, "picture \(index)")
      #expect(parser.syntax?.deblockingAlpha == slices.last?.alpha)
    }
    #expect(next == trace.slices.count)
    let syntax = try #require(parser.syntax)
    #expect(syntax.profile == trace.values["profile_idc"])
    #expect(syntax.level == trace.values["level_idc"])
    #expect(syntax.cabac == (trace.values["entropy_coding_mode_flag"] == 1))
    #expect(syntax.transform8x8 == (trace.values["transform_8x8_mode_flag"] == 1))
    #expect(syntax.pictureOrderType == trace.values["pic_order_cnt_type"])
    #expect(syntax.referenceFrames == trace.values["max_num_ref_frames"])
    #expect(syntax.chromaQPOffset == trace.values["chroma_qp_index_offset"])
    #expect(syntax.deblockingControl == (trace.values["deblocking_filter_control_present_flag"] == 1))
    #expect(syntax.frameMacroblocksOnly == (trace.values["frame_mbs_only_flag"] == 1))
    #expect(syntax.initialQP == initial)
    return syntax
  }

  @Test(arguments: H264EncoderTests.names, ["baseline", "main", "high"])
  func picturesOfEachEngineReadAsFFmpegReadsThem(_ name: String, profile: String) throws {
    let list = try H264EncoderTests.encode(name, try h264(gop: 10, profile: profile), frames: 30) { index, encoder, _ in
      if index == 15 { try expectTaken(encoder, try h264(gop: 10, bitrate: 200, profile: profile)) }
    }
    let syntax = try Self.compare(list.pictures)
    #expect(syntax.width == 640 && syntax.height == 360)
    #expect(syntax.profileName == profile)
    if name == "x264" { #expect(syntax.frameRate == .thirty) }
  }

  /// Coding tools our engines do not use, from other encoders' streams.
  @Test(arguments: [
    "bframes=3:slices=4:weightp=2", "interlaced=1:bframes=0", "cqm=jvt:deblock=-2,3:qp=30", "keyint=5:open-gop=1",
    "ref=4:weightp=2:weightb=1:bframes=2:direct=temporal",
    "cabac=0:8x8dct=1:no-deblock=1:nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500",
    "constrained-intra=1:slice-max-size=400", "videoformat=pal:fullrange=on:colorprim=bt709:sar=4/3:aud=1",
  ])
  func picturesOfForeignStreamsReadAsFFmpegReadsThem(_ options: String) throws {
    let stream = try Tool.run(
      "ffmpeg",
      [
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=324x244:d=1.2:r=25", "-pix_fmt", "yuv420p", "-c:v", "libx264",
        "-x264-params", options, "-f", "h264", "pipe:1",
      ]
    ).output
    let syntax = try Self.compare(try Self.split(stream))
    #expect(syntax.width == 324 && syntax.height == 244)
    #expect(syntax.scalingMatrix == options.contains("cqm"))
    #expect(syntax.deblockingDisabled == (options.contains("no-deblock") ? 1 : 0))
  }

  /// The stream cut into pictures by FFmpeg.
  static func split(_ stream: Data) throws -> [[UInt8]] {
    let list = try Tool.run(
      "ffprobe", ["-v", "error", "-f", "h264", "-show_entries", "packet=size", "-of", "csv=p=0", "-i", "pipe:0"],
      input: stream
    ).text
    var at = 0
    return list.split(separator: "\n").compactMap { Int($0.split(separator: ",")[0]) }.map { size in
      defer { at += size }
      return [UInt8](stream[at..<at + size])
    }
  }

  #if X264
    @Test func theQPOfAPictureIsTheOneX264Counts() throws {
      // The library reports the mean over macroblocks; without adaptive quantisation and buffer model it has only one QP.
      let encoder = try X264Encoder(try h264(gop: 10, bitrate: 700)) {
        $0.rc.i_aq_mode = 0
        $0.rc.i_vbv_buffer_size = 0
        $0.rc.i_vbv_max_bitrate = 0
      }
      let source = try PatternSource(try request())
      var list = PictureList()
      var parser = PictureParser(.h264)
      var seen: Set<Int> = []
      for index in 0..<60 {
        let frame = try source.next().unwrapped()
        try encoder.submit(frame, EncodeDirective(), into: &list)
        let info = list.pictures[index].withUnsafeBytes { parser.parse($0) }
        #expect(info.qp == encoder.lastQP, "picture \(index)")
        seen.insert(encoder.lastQP)
      }
      #expect(seen.count > 3)
    }
  #endif

  @Test(arguments: [1, 5, 30, 49, 50, 75, 80, 95, 99])
  func theQualityOfAJPEGIsReadFromItsTables(_ quality: Int) throws {
    let frame = try JPEGTests.picture(.i420, 322, 242)
    let encoder = try TurboJPEGFactory().open(try JPEGTests.configuration(322, 242, quality: quality))
    var list = PictureList()
    try encoder.submit(frame, EncodeDirective(), into: &list)
    var parser = PictureParser(.mjpeg)
    for _ in 0..<2 {
      let info = list.pictures[0].withUnsafeBytes { parser.parse($0) }
      #expect(info.quality == quality)
      #expect(info.isKey && info.type == .i && info.qp == nil)
    }
    #expect(parser.syntax?.width == 322 && parser.syntax?.height == 242)
  }

  @Test func noBytesMakeTheParsersTrap() throws {
    var pictures: [(Codec, [UInt8])] = []
    for name in H264EncoderTests.names {
      let list = try H264EncoderTests.encode(name, try h264(64, 64), frames: 3)
      pictures += list.pictures.map { (.h264, $0) }
    }
    #if X265
      pictures += try H265EncoderTests.encode(try h265(64, 64), frames: 3).pictures.map { (.h265, $0) }
    #endif
    let frame = try JPEGTests.picture(.i420, 64, 64)
    let encoder = try TurboJPEGFactory().open(try JPEGTests.configuration(64, 64, quality: 50))
    var list = PictureList()
    try encoder.submit(frame, EncodeDirective(), into: &list)
    pictures.append((.mjpeg, list.pictures[0]))
    pictures.append((.fwht, [0x4f, 0x4f, 0x4f, 0x4f, 0xff, 0xff, 0xff, 0xff] + [UInt8](repeating: 0, count: 40)))
    // A fixed seed: a failure is found again.
    var random = SplitMix(state: 0x9e37_79b9_7f4a_7c15)
    for round in 0..<3000 {
      var (codec, bytes) = pictures[round % pictures.count]
      var parser = PictureParser(codec)
      if round % 2 == 0 { _ = bytes.withUnsafeBytes { parser.parse($0) } }
      for _ in 0..<Int(random.next() % 8) {
        // Mostly into the headers, where it matters.
        let at = Int(random.next() % UInt64(min(bytes.count, random.next() % 3 == 0 ? bytes.count : 60)))
        bytes[at] = UInt8(truncatingIfNeeded: random.next() >> 8)
      }
      bytes.removeLast(Int(random.next() % UInt64(bytes.count)))
      let info = bytes.withUnsafeBytes { parser.parse($0) }
      #expect(info.bits == bytes.count * 8)
    }
    for codec in Codec.allCases {
      var parser = PictureParser(codec)
      let empty = parser.parse(UnsafeRawBufferPointer(start: nil, count: 0))
      #expect(empty.type == nil && !empty.isKey)
      for count in 0..<300 {
        let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() % 3) }
        _ = bytes.withUnsafeBytes { parser.parse($0) }
      }
    }
  }

  @Test func anFWHTHeaderTellsSizeAndKind() {
    func words(_ values: [UInt32]) -> [UInt8] { values.flatMap { w in withUnsafeBytes(of: w.bigEndian) { Array($0) } } }
    var parser = PictureParser(.fwht)
    let intra = words([0x4f4f_4f4f, 0xffff_ffff, 3, 1280, 720, 1 << 10, 0, 0, 0, 0, 0])
    let first = intra.withUnsafeBytes { parser.parse($0) }
    #expect(first.type == .idr && first.isKey)
    #expect(parser.syntax?.width == 1280 && parser.syntax?.height == 720)
    let inter = words([0x4f4f_4f4f, 0xffff_ffff, 3, 1280, 720, 0, 0, 0, 0, 0, 0])
    let second = inter.withUnsafeBytes { parser.parse($0) }
    #expect(second.type == .p && !second.isKey)
  }
}
