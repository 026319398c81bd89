// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// What the headers say of where decoding can begin, of what was lost on the way, and of the rate.
@Suite(.ownThread) struct JoiningBitstreamTests {
  static func made(_ format: String, rate: Int = 25, frames: Int = 60, size: String = "320x240", _ options: [String])
    throws -> [[UInt8]]
  {
    let made = try Tool.run(
      "ffmpeg",
      [
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=\(size):rate=\(rate)", "-frames:v", "\(frames)",
      ] + options + ["-f", format, "pipe:1"])
    try #require(made.status == 0, "\(made.errors)")
    let codec: Codec = format == "hevc" ? .h265 : format == "ivf" ? .vp8 : .h264
    return AccessUnitSplitterTests.units(codec, Array(made.output), pieces: { _ in 65536 }).units
  }

  static func h264(_ parameters: String, frames: Int = 60) throws -> [[UInt8]] {
    try made("h264", frames: frames, ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-x264-params", parameters])
  }

  static func h265(_ parameters: String, frames: Int = 60) throws -> [[UInt8]] {
    try made("hevc", frames: frames, ["-c:v", "libx265", "-x265-params", "log-level=none:\(parameters)"])
  }

  private func read(_ codec: Codec, _ units: some Sequence<[UInt8]>) -> [PictureInfo] {
    var parser = PictureParser(codec)
    return units.map { unit in unit.withUnsafeBytes { parser.parse($0) } }
  }

  /// As many as FFmpeg gives of a stream that begins in the middle, its parameter sets in front.
  private func witness(_ units: some Sequence<[UInt8]>) throws -> Int? {
    let probe = try Tool.run(
      "ffprobe",
      [
        "-v", "quiet", "-f", "h264", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", "-i",
        "pipe:0",
      ], input: Data(units.flatMap { $0 }))
    return Int(probe.text.trimmingCharacters(in: .whitespacesAndNewlines))
  }

  @Test(arguments: [12, 20, 48]) func intraRefreshIsWholeWhereFFmpegShowsIt(keyint: Int) throws {
    let units = try Self.h264("intra-refresh=1:bframes=0:repeat-headers=1:keyint=\(keyint)", frames: 100)
    let infos = read(.h264, units)
    try #require(infos.filter(\.isKey).count == 1)
    let points = infos.indices.filter { infos[$0].isRecoveryPoint && !infos[$0].isKey }
    #expect(points.first.map { $0 > 0 } == true)
    let first = try #require(points.first)
    let whole = try #require(infos.indices.first { $0 >= first && infos[$0].isRecovered })
    #expect(whole > first, "it takes some pictures")
    #expect(try witness(units[first...]) == units.count - whole)
  }

  @Test func whatIsShownBeforeAnOpenGroupsFirstPictureIsKnown() throws {
    let open = read(.h264, try Self.h264("open-gop=1:keyint=15:bframes=3:scenecut=0"))
    let points = open.indices.filter { open[$0].isRecoveryPoint && !open[$0].isKey }
    try #require(points.count == 3)
    for point in points {
      #expect(open[point].isRecovered)
      // B pictures right behind it in the stream, and none later.
      let leading = open.indices.filter { $0 > point && $0 < point + 15 && open[$0].isLeading }
      #expect(!leading.isEmpty && leading == Array(point + 1...point + leading.count))
      #expect(leading.allSatisfy { open[$0].type == .b })
    }
    #expect(try read(.h264, Self.h264("keyint=15:bframes=3")).allSatisfy { !$0.isLeading })
    let hevc = read(.h265, try Self.h265("open-gop=1:keyint=15:bframes=3:scenecut=0"))
    #expect(hevc.contains { $0.isLeading })
  }

  @Test func nothingIsMissingOfWholeStreams() throws {
    for parameters in [
      "bframes=0:ref=4", "bframes=3:b-pyramid=strict", "bframes=8:keyint=20:ref=6", "intra-refresh=1:keyint=10",
      "interlaced=1:bframes=2",
    ] {
      #expect(try read(.h264, Self.h264(parameters)).allSatisfy { $0.missing == 0 }, "\(parameters)")
    }
    for parameters in ["bframes=0:ref=4", "bframes=4:b-pyramid=1:ref=5", "keyint=12:open-gop=1:bframes=3"] {
      let infos = read(.h265, try Self.h265(parameters, frames: 100))
      #expect(infos.allSatisfy { $0.missing == 0 && $0.type != nil }, "\(parameters)")
    }
  }

  @Test func lostPicturesAreCountedWhereTheNextRefersPastThem() throws {
    let h264 = try Self.h264("bframes=0:keyint=60")
    for lost in [[20], [20, 21, 22], [20, 40]] {
      let infos = read(.h264, h264.indices.filter { !lost.contains($0) }.map { h264[$0] })
      #expect(infos.reduce(0) { $0 + $1.missing } == lost.count, "\(lost)")
    }
    let h265 = try Self.h265("bframes=0:ref=1:keyint=60")
    for lost in [[20], [20, 40]] {
      let infos = read(.h265, h265.indices.filter { !lost.contains($0) }.map { h265[$0] })
      #expect(infos.reduce(0) { $0 + $1.missing } == lost.count, "\(lost)")
    }
    // A key picture forgets what was before: nothing is missing after it.
    let short = try Self.h264("bframes=0:keyint=20:scenecut=0")
    #expect(read(.h264, short[..<15] + short[20...]).allSatisfy { $0.missing == 0 })
  }

  @Test func aStreamIsReadAsOfTheRateItStates() throws {
    func rate(_ codec: Codec, _ units: [[UInt8]]) -> FrameRate? {
      var parser = PictureParser(codec)
      for unit in units { _ = unit.withUnsafeBytes { parser.parse($0) } }
      return parser.syntax?.frameRate
    }
    let x265 = ["-c:v", "libx265", "-x265-params", "log-level=none"]
    #expect(try rate(.h265, Self.made("hevc", rate: 10, frames: 3, x265)) == FrameRate(10))
    #expect(try rate(.h264, Self.made("h264", rate: 10, frames: 3, ["-c:v", "libx264"])) == FrameRate(10))
    // Where only the video parameter set has it.
    let without = ["-c:v", "libx265", "-bsf:v", "filter_units=remove_types=32", "-x265-params"]
    let rest = try Self.made("hevc", rate: 10, frames: 3, without + ["log-level=none:vui-timing-info=0"])
    #expect(rate(.h265, rest) == nil)
    #expect(rate(.h265, [Self.videoSet(ticks: 1001, scale: 15000)] + rest) == FrameRate(15000, 1001))
  }

  /// A video parameter set that states nothing but a rate (H.265, 7.3.2.1).
  private static func videoSet(ticks: UInt32, scale: UInt32) -> [UInt8] {
    func bits(_ value: UInt32, _ count: Int) -> [Bool] { (0..<count).map { value >> UInt32(count - 1 - $0) & 1 == 1 } }
    // Number 0, one layer, one sub-layer; profile, level; one entry of the buffer; no sets of layers.
    var all = bits(0, 4) + bits(3, 2) + bits(0, 6) + bits(0, 3) + bits(1, 1) + bits(0xffff, 16)
    all += bits(1, 8) + (0..<11).flatMap { _ in bits(0x91, 8) } + bits(1, 1) + bits(7, 3) + bits(0, 6) + bits(1, 1)
    all += bits(1, 1) + bits(ticks, 32) + bits(scale, 32) + bits(1, 1)
    all += [Bool](repeating: false, count: (8 - all.count % 8) % 8)
    var bytes: [UInt8] = []
    for at in stride(from: 0, to: all.count, by: 8) {
      let byte = all[at..<at + 8].reduce(UInt8(0)) { $0 << 1 | ($1 ? 1 : 0) }
      if bytes.suffix(2) == [0, 0], byte <= 3 { bytes.append(3) }
      bytes.append(byte)
    }
    return [0, 0, 0, 1, 0x40, 1] + bytes
  }

  static func withoutSets(_ codec: Codec, _ unit: [UInt8]) -> [UInt8] {
    unit.withUnsafeBytes { bytes in
      AnnexBUnits(bytes).filter {
        codec == .h265 ? !(32...34).contains($0[0] >> 1 & 63) : ![7, 8].contains($0[0] & 31)
      }.flatMap { [0, 0, 0, 1] + $0 }
    }
  }

  @Test func parameterSetsAreGivenToWhoeverBeginsLater() throws {
    for (codec, units) in [
      (Codec.h264, try Self.h264("bframes=0:keyint=10", frames: 12)),
      (.h265, try Self.h265("bframes=0:keyint=10", frames: 12)),
    ] {
      var sets = try #require(ParameterSets(codec))
      let kinds = codec == .h265 ? 3 : 2
      units[0].withUnsafeBytes { sets.note($0) }
      #expect(units[0].withUnsafeBytes { sets.missing(in: $0) } == [], "it brings them itself")
      let bare = Self.withoutSets(codec, units[10])
      let missing = bare.withUnsafeBytes { sets.missing(in: $0) }
      #expect(missing.withUnsafeBytes { AnnexBUnits($0).map { _ in 1 }.count } == kinds)
      let joined = read(codec, [missing + bare])[0]
      #expect(joined.isKey && joined.hasParameterSets && !joined.lacksParameterSets)
      #expect(read(codec, [bare])[0].lacksParameterSets)
      // Those of another size take their place.
      let other = try Self.made(
        codec == .h265 ? "hevc" : "h264", frames: 2, size: "160x120",
        codec == .h265
          ? ["-c:v", "libx265", "-x265-params", "log-level=none"] : ["-pix_fmt", "yuv420p", "-c:v", "libx264"])
      other[0].withUnsafeBytes { sets.note($0) }
      let after = other[1].withUnsafeBytes { sets.missing(in: $0) }
      var parser = PictureParser(codec)
      _ = (after + other[1]).withUnsafeBytes { parser.parse($0) }
      #expect(parser.syntax?.width == 160)
    }
    #expect(ParameterSets(.mjpeg) == nil)
  }
}

/// Files that have pictures inside, and are no streams of them.
@Suite(.ownThread) struct ContainerSnifferTests {
  private func verdict(_ bytes: Data) -> String? { bytes.withUnsafeBytes { ContainerSniffer.verdict($0)?.reason } }

  @Test(arguments: [
    ("mp4", "mp4", "MP4", ["-movflags", "frag_keyframe+empty_moov"]), ("mov", "mov", "MP4", []),
    ("matroska", "mkv", "Matroska", []), ("avi", "avi", "AVI", []), ("flv", "flv", "FLV", []),
    ("mpegts", "ts", "packets of 188 bytes", []),
    ("mpegts", "m2ts", "packets of 192 bytes", ["-mpegts_m2ts_mode", "1"]),
    ("asf", "asf", "ASF", []), ("vob", "vob", "program stream", ["-c:v", "mpeg2video"]),
    ("ogg", "ogg", "Ogg", ["-c:v", "libtheora"]), ("webm", "webm", "Matroska", ["-c:v", "libvpx"]),
    ("ivf", "ivf", "VP9", ["-c:v", "libvpx-vp9"]),
  ])
  func containersAreKnown(_ format: String, suffix: String, name: String, options: [String]) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "mpifs-container-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "a.\(suffix)")
    let codec = options.contains("-c:v") ? [] : ["-c:v", "libx264"]
    let made = try Tool.run(
      "ffmpeg",
      ["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-frames:v", "25", "-pix_fmt", "yuv420p"]
        + codec + options + ["-f", format, file.path])
    try #require(made.status == 0, "\(made.errors)")
    let bytes = try Data(contentsOf: file)
    #expect(verdict(bytes)?.contains(name) == true, "\(verdict(bytes) ?? "nothing")")
    #expect(verdict(bytes.prefix(ContainerSniffer.enough))?.contains(name) == true)
  }

  @Test func transportPacketsWithChecksumsAreKnown() {
    let packet = [0x47] + [UInt8](repeating: 0x55, count: 203)
    #expect(verdict(Data((0..<6).flatMap { _ in packet }))?.contains("204") == true)
    // Two that happen to lie so far apart are none.
    var two = [UInt8](repeating: 0x55, count: 1000)
    (two[0], two[188]) = (0x47, 0x47)
    #expect(verdict(Data(two)) == nil)
  }

  @Test func streamsAreNoContainers() throws {
    for (format, options) in [
      ("h264", ["-c:v", "libx264"]), ("hevc", ["-c:v", "libx265", "-x265-params", "log-level=none"]),
      ("mjpeg", ["-c:v", "mjpeg"]), ("ivf", ["-c:v", "libvpx"]),
    ] {
      let made = try Tool.run(
        "ffmpeg",
        ["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-frames:v", "5"] + options
          + ["-f", format, "pipe:1"])
      try #require(made.status == 0, "\(made.errors)")
      #expect(verdict(made.output) == nil, "\(format)")
    }
    #expect(verdict(Data("root:x:0:0:root:/root:/bin/bash\n".utf8)) == nil && verdict(Data()) == nil)
  }
}
