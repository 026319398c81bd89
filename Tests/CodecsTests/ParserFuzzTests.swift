// SPDX-License-Identifier: Apache-2.0
import Foundation
import KernelChecks
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// Whatever bytes come, nothing that reads streams traps or reads beyond them: real streams of every coding, damaged in all ways that seeds of fixed
/// numbers give, in memory whose neighbours may not be touched.
@Suite(.ownThread(limit: .seconds(900))) struct ParserFuzzTests {
  /// Of each coding; 20 000 and more in all.
  static let rounds = 4200

  // MARK: real streams

  private static func coded(_ codec: String, _ format: String, _ options: [String], size: String = "96x64") throws
    -> [UInt8]
  {
    let result = try Tool.run(
      "ffmpeg",
      ["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=\(size):d=0.28:r=25", "-pix_fmt", "yuv420p", "-c:v", codec]
        + options
        + ["-f", format, "pipe:1"])
    try #require(result.status == 0, "\(result.errors)")
    return [UInt8](result.output)
  }

  /// Pictures of a coding, a list for each stream.
  private static func streams(_ codec: Codec) throws -> [[[UInt8]]] {
    func cut(_ bytes: [UInt8]) -> [[UInt8]] { AccessUnitSplitterTests.units(codec, bytes, pieces: { _ in 1000 }).units }
    switch codec {
    case .h264:
      var all = try H264EncoderTests.names.map {
        try H264EncoderTests.encode($0, try h264(64, 64, gop: 3), frames: 6).pictures
      }
      for options in [
        "bframes=3:slices=3:weightp=2:ref=4:aud=1", "interlaced=1:bframes=0", "cqm=jvt:deblock=-2,3:cabac=0",
        "keyint=3:open-gop=1:nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500:fullrange=on:colorprim=bt709:sar=4/3",
        "intra-refresh=1:keyint=5:bframes=0",
      ] {
        all.append(cut(try coded("libx264", "h264", ["-x264-params", options])))
      }
      return all
    case .h265:
      return try [
        "", ":slices=2:ref=4:bframes=3:weightp=1:weightb=1:scaling-list=default",
        ":open-gop=1:aud=1:hrd=1:vbv-maxrate=500:vbv-bufsize=500",
      ]
      .map { cut(try coded("libx265", "hevc", ["-x265-params", "log-level=none:keyint=4\($0)"])) }
    case .mjpeg:
      let encoder = try TurboJPEGFactory().open(try JPEGTests.configuration(64, 64, quality: 50))
      var list = PictureList()
      for _ in 0..<3 { try encoder.submit(try JPEGTests.picture(.i420, 64, 64), EncodeDirective(), into: &list) }
      return [
        list.pictures, cut(try coded("mjpeg", "mjpeg", ["-q:v", "5"])),
        cut(try coded("mjpeg", "mjpeg", ["-huffman", "optimal"])),
      ]
    case .vp8:
      // What is given to a reader is a picture; the splitter has the file around them.
      return [
        cut(
          try coded("libvpx", "ivf", ["-g", "3", "-auto-alt-ref", "0", "-lag-in-frames", "0", "-deadline", "realtime"]))
      ]
    case .fwht:
      // Headers as the kernel's vicodec writes them, of key and predicted pictures.
      return [
        (0..<6).map { number in
          let size = 40 + number * 70
          let words: [UInt32] = [
            0x4f4f_4f4f, 0xffff_ffff, 3, 64, 48, (number % 3 == 0 ? 1 << 10 : 0) | 2 << 16 | 1 << 19, 3, 1, 1, 2,
            UInt32(size),
          ]
          return words.flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } }
            + (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        }
      ]
    }
  }

  // MARK: damage

  private struct Damage {
    var random: SplitMix

    mutating func below(_ limit: Int) -> Int { limit <= 0 ? 0 : Int(random.next() % UInt64(limit)) }

    /// Mostly in the headers, where it matters.
    mutating func place(_ bytes: [UInt8]) -> Int { below(below(3) == 0 ? bytes.count : min(bytes.count, 90)) }

    /// Numbers that lengths, counts and codes are made of.
    private static let inserted: [[UInt8]] = [
      [0, 0, 1], [0, 0, 0, 1], [0, 0, 3], [0, 0, 3, 0, 0, 3], [0xff, 0xff], [0, 0], [0xff, 0xff, 0xff, 0xff],
      [0x7f, 0xff, 0xff, 0xff],
      [0x80, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0xff, 0xd8], [0xff, 0xd9], [0xff, 0xda], [0xff, 0xdb, 0, 2],
      [0xff, 0xc0, 0, 3], [0xff, 0xdd, 0xff, 0xff], [0x4f, 0x4f, 0x4f, 0x4f, 0xff, 0xff, 0xff, 0xff],
      Array("DKIF".utf8), [0, 0, 1, 0x67], [0, 0, 1, 0x42, 1],
    ]

    mutating func hit(_ bytes: inout [UInt8], _ others: [[UInt8]]) {
      guard !bytes.isEmpty else { return }
      let at = place(bytes)
      switch below(9) {
      case 0, 1: bytes[at] ^= 1 << UInt8(below(8))
      case 2: bytes[at] = UInt8(truncatingIfNeeded: random.next())
      case 3: bytes.removeLast(below(bytes.count + 1))
      case 4: bytes.removeFirst(below(min(bytes.count, 40) + 1))
      case 5: bytes.removeSubrange(at..<min(bytes.count, at + 1 + below(60)))
      case 6: bytes.insert(contentsOf: Self.inserted[below(Self.inserted.count)], at: at)
      case 7: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 1 + below(60))], at: place(bytes))
      default:
        // A piece of another picture in the place of one's own.
        let other = others[below(others.count)]
        let from = below(other.count)
        bytes.replaceSubrange(
          at..<min(bytes.count, at + below(80)), with: other[from..<min(other.count, from + 1 + below(120))])
      }
    }
  }

  /// The readers that remember what came before.
  private struct Readers: ~Copyable {
    let codec: Codec
    var parser: PictureParser
    var sets: ParameterSets?
    let front: PictureFront?
    var ending = JPEGEnding()
    var splitter: AccessUnitSplitter

    init(_ codec: Codec, saying description: StreamDescription) {
      self.codec = codec
      parser = PictureParser(codec)
      sets = ParameterSets(codec)
      front = PictureFront(codec)
      front?.wanted = description
      splitter = AccessUnitSplitter(codec)
    }

    mutating func read(_ bytes: UnsafeRawBufferPointer, _ damage: inout Damage) throws {
      let info = parser.parse(bytes)
      #expect(info.bits == bytes.count * 8 && info.slices >= 0 && info.missing >= 0)
      if let quality = info.quality { #expect((1...100).contains(quality)) }
      if damage.below(40) == 0 { parser.restart() }
      if sets != nil {
        sets?.note(bytes)
        _ = sets?.missing(in: bytes)
        // What damaged streams leave behind does not grow without end.
        if damage.below(60) == 0 { sets = ParameterSets(codec) }
        #expect(ParameterSets.leading(bytes, codec).count <= bytes.count)
        #expect(AnnexBUnits(bytes).reduce(0) { $0 + $1.count } <= bytes.count)
      }
      if let front {
        var count = 0
        front.begin()
        let half = damage.below(bytes.count + 1)
        for part in [bytes[..<half], bytes[half...]] {
          front.append(UnsafeRawBufferPointer(rebasing: part)) { count += $0.count }
        }
        // Sets may become longer by what they are made to say, and those of the picture before may go before a picture without.
        #expect(count <= bytes.count * 3 / 2 + 16_384)
      }
      if codec == .mjpeg { _ = try ending.complete(bytes) }
      split(bytes, &damage)
      _ = (StreamSniffer.codec(bytes), StreamSniffer.hasUnits(bytes), StreamSniffer.isElementary(bytes))
      _ = (ContainerSniffer.verdict(bytes), ContainerSniffer.name(bytes))
      _ = AccessUnitSplitter.frameRate(ofHeader: bytes, codec)
    }

    private mutating func split(_ bytes: UnsafeRawBufferPointer, _ damage: inout Damage) {
      var given = 0
      let half = damage.below(bytes.count + 1)
      for part in [bytes[..<half], bytes[half...]] {
        splitter.append(UnsafeRawBufferPointer(rebasing: part))
        while let unit = splitter.next() { given += unit.count }
      }
      if let last = splitter.finish() { given += last.count }
      #expect(given <= bytes.count, "more came out than went in")
    }
  }

  @Test(arguments: [Codec.h264, .h265, .mjpeg, .fwht, .vp8], [1, 2] as [UInt64])
  func damagedStreamsAreReadWithoutATrapOrAByteTooMuch(codec: Codec, seed: UInt64) throws {
    let streams = try Self.streams(codec)
    let all = streams.flatMap { $0 }
    try #require(all.count >= 6 && all.allSatisfy { !$0.isEmpty })
    let memory = try GuardedBytes(capacity: 64 << 10)
    let description = StreamDescription(
      color: .bt601, aspect: SampleAspect(4, 3), frameRate: try #require(FrameRate(25)))
    var readers = Readers(codec, saying: description)
    var damage = Damage(random: SplitMix(state: seed &* 0x9e37_79b9_7f4a_7c15))
    var whole = 0
    for round in 0..<Self.rounds / 2 {
      // Its own stream's pictures before it, whole, so that there is something to refer to.
      let stream = streams[round % streams.count]
      let number = damage.below(stream.count)
      if round % 8 == 0 {
        readers.parser = PictureParser(codec)
        for picture in stream[..<number] {
          if picture.withUnsafeBytes({ readers.parser.parse($0) }).type != nil { whole += 1 }
        }
      }
      var bytes = stream[number]
      for _ in 0...damage.below(6) { damage.hit(&bytes, all) }
      if bytes.count > 6000 { bytes.removeLast(bytes.count - 6000) }
      try memory.each(bytes) { try readers.read($0, &damage) }
    }
    #expect(whole > 100, "what was not damaged is read")
  }

  /// The same of nothing at all, of every short length, and of bytes that are nearly all zeros.
  @Test(arguments: Codec.allCases) func nearlyNothingIsReadToo(codec: Codec) throws {
    let memory = try GuardedBytes(capacity: 4096)
    let description = StreamDescription(color: .bt601, aspect: .unknown, frameRate: .thirty)
    var readers = Readers(codec, saying: description)
    var damage = Damage(random: SplitMix(state: 11))
    for count in 0..<260 {
      for top in [2, 4, 256] as [UInt64] {
        let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: damage.random.next() % top) }
        try memory.each(bytes) { try readers.read($0, &damage) }
      }
      try memory.each([UInt8](repeating: 0xff, count: count)) { try readers.read($0, &damage) }
    }
  }

  /// The guard is one: a child that reads a byte too much is stopped by it. That is what every test above would come to.
  @Test func whoeverReadsAByteTooMuchIsStopped() throws {
    let memory = try GuardedBytes(capacity: 100)
    var ends: [UInt] = []
    memory.each([1, 2, 3]) { ends.append(UInt(bitPattern: $0.baseAddress) + UInt($0.count)) }
    try #require(ends.count == 2)
    // Whether a byte may be read is asked of the kernel: write(2) from it.
    let sink = open("/dev/null", O_WRONLY)
    defer { close(sink) }
    var pipes: [CInt] = [0, 0]
    try #require(pipe(&pipes) == 0)
    defer { for end in pipes { close(end) } }
    let end = try #require(UnsafeRawPointer(bitPattern: ends[0]))
    #expect(write(pipes[1], end - 1, 1) == 1)
    #expect(write(pipes[1], end, 1) == -1 && errno == EFAULT)
  }
}
