// SPDX-License-Identifier: Apache-2.0
import Foundation
import KernelChecks
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// PNG files of every kind against what FFmpeg makes of them, and files that are none.
@Suite(.ownThread) struct PNGReaderTests {
  private static let reader = PNGReader()
  private static let limit = 1 << 22

  private static func file(
    _ kind: PNGFile.Kind, _ depth: Int, interlaced: Bool = false, transparency: [UInt8] = [], width: Int = 29,
    height: Int = 19
  ) -> PNGFile {
    var file = PNGFile(width: width, height: height, depth: depth, kind: kind, isInterlaced: interlaced) {
      x, y, channel in
      (x * 37 + y * 101 + channel * 57 + x * y * 7) & (1 << depth - 1)
    }
    if kind == .palette {
      file.palette = (0..<(1 << depth) * 3).map { UInt8(truncatingIfNeeded: $0 &* 73 &+ 11) }
    }
    file.transparency = transparency
    return file
  }

  /// Every colour type in every depth it has.
  private static let kinds: [(PNGFile.Kind, Int)] =
    [1, 2, 4, 8, 16].map { (.gray, $0) } + [(.rgb, 8), (.rgb, 16)] + [1, 2, 4, 8].map { (.palette, $0) }
    + [(.grayAlpha, 8), (.grayAlpha, 16), (.rgba, 8), (.rgba, 16)]

  private static func compare(_ bytes: [UInt8], within distance: Int, _ name: String) throws {
    let canvas = try reader.read(bytes, limit: limit)
    let told = try Tool.run(
      "ffmpeg",
      [
        "-v", "error", "-f", "image2pipe", "-c:v", "png", "-i", "pipe:0", "-f", "rawvideo", "-pix_fmt", "bgra",
        "pipe:1",
      ],
      input: Data(bytes))
    #expect(told.output.count == canvas.bytes.count, "\(name): \(told.errors)")
    let farthest = zip(canvas.bytes, told.output).map { abs(Int($0) - Int($1)) }.max()
    #expect(farthest ?? .max <= distance, "\(name)")
  }

  /// FFmpeg makes 8 bits of 16 by way of other colours; here they are computed.
  private static func compareHalves(_ file: PNGFile, _ name: String) throws {
    let canvas = try reader.read(file.bytes, limit: limit)
    let isColored = file.kind == .rgb || file.kind == .rgba
    var farthest = 0.0
    for y in 0..<file.height {
      for x in 0..<file.width {
        let samples = (0..<file.channels).map { Double(file.sample(x, y, $0)) / 257 }
        let alpha = file.kind == .rgba || file.kind == .grayAlpha ? samples[file.channels - 1] : 255
        let color = isColored ? [samples[2], samples[1], samples[0]] : [samples[0], samples[0], samples[0]]
        for (index, wanted) in (color + [alpha]).enumerated() {
          farthest = max(farthest, abs(Double(canvas.bytes[(y * file.width + x) * 4 + index]) - wanted))
        }
      }
    }
    #expect(farthest <= 1, "\(name)")
  }

  @Test func everyKindDepthAndInterlacingIsRead() throws {
    for (kind, depth) in Self.kinds {
      for interlaced in [false, true] {
        let file = Self.file(kind, depth, interlaced: interlaced)
        let name = "\(kind) of \(depth) bits, interlaced \(interlaced)"
        if depth < 16 { try Self.compare(file.bytes, within: 0, name) } else { try Self.compareHalves(file, name) }
      }
    }
  }

  @Test func coloursThatAreTransparentAre() throws {
    let palette = Self.file(.palette, 4, transparency: [0, 50, 255, 128])
    try Self.compare(palette.bytes, within: 0, "palette")
    let gray = try Self.reader.read(Self.file(.gray, 8, transparency: [0, 37]).bytes, limit: Self.limit)
    let clear = stride(from: 0, to: gray.bytes.count, by: 4).filter { gray.bytes[$0 + 3] == 0 }
    let marked = (0..<29 * 19).filter { (($0 % 29) * 37 + $0 / 29 * 101 + ($0 % 29) * ($0 / 29) * 7) & 255 == 37 }
    #expect(!marked.isEmpty)
    #expect(clear.map { $0 / 4 } == marked)
    try Self.compare(Self.file(.rgb, 8, transparency: [0, 37, 0, 94, 0, 151]).bytes, within: 0, "rgb")
  }

  @Test func alphaIsNotMultipliedIn() throws {
    let file = PNGFile(width: 2, height: 1, depth: 8, kind: .rgba) { x, _, channel in [200, 100, 50, x * 7][channel] }
    #expect(try Self.reader.read(file.bytes, limit: 2).bytes == [50, 100, 200, 0, 50, 100, 200, 7])
  }

  @Test func filesOfAnEncoderAreRead() throws {
    for format in ["rgb24", "rgba", "gray", "ya8", "pal8", "rgb48be", "rgba64be", "gray16be", "monob"] {
      let made = try Tool.run(
        "ffmpeg",
        [
          "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=70x44:d=0.04:r=25,format=rgba,colorchannelmixer=aa=0.6",
          "-frames:v", "1", "-pix_fmt", format, "-c:v", "png", "-f", "image2pipe", "pipe:1",
        ])
      try #require(made.status == 0, "\(made.errors)")
      try Self.compare(
        [UInt8](made.output), within: ["gray16be", "rgb48be", "rgba64be"].contains(format) ? 1 : 0, format)
    }
  }

  private static func errno(_ bytes: [UInt8], limit: Int = limit) -> CInt? {
    do throws(Failure) {
      _ = try reader.read(bytes, limit: limit)
      return nil
    } catch { return error.errno.rawValue }
  }

  @Test func onlyWhatBeginsAsAPNGFileIsRecognised() {
    let file = Self.file(.rgb, 8).bytes
    #expect(Self.reader.recognises(file))
    #expect(!Self.reader.recognises([]))
    #expect(!Self.reader.recognises(Array(file.prefix(7))))
    #expect(!Self.reader.recognises([UInt8](repeating: 0, count: 100)))
    #expect(Self.errno([UInt8](repeating: 0, count: 100)) == EILSEQ)
  }

  @Test func aFileThatEndsEarlyIsDamagedWhereverItEnds() {
    let file = Self.file(.rgba, 8).bytes
    // What follows the pixels is not needed.
    for count in stride(from: 0, to: file.count - 24, by: 5) {
      #expect(Self.errno(Array(file.prefix(count))) == EILSEQ, "\(count) of \(file.count)")
    }
  }

  @Test func aWrongChecksumOfPixelsOrHeaderIsDamage() {
    var file = Self.file(.rgba, 8).bytes
    file[20] ^= 1
    #expect(Self.errno(file) == EILSEQ)
    file = Self.file(.rgba, 8).bytes
    file[file.count - 100] ^= 1
    #expect(Self.errno(file) == EILSEQ)
  }

  /// What is packed behind the last pixel is not unpacked to its end, however much that would be.
  @Test(arguments: [false, true]) func whatGoesOnBehindThePixelsIsRefusedSoon(isInterlaced: Bool) throws {
    let made = try Tool.run(
      "python3",
      [
        "-c",
        """
        import struct, sys, zlib
        def chunk(kind, data):
          return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        packer = zlib.compressobj(9)
        data = b''.join([packer.compress(bytes(1 << 20)) for _ in range(400)] + [packer.flush()])
        sys.stdout.buffer.write(b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 16, 16, 8, 6, 0, 0, \(isInterlaced ? 1 : 0)))
          + chunk(b'IDAT', data) + chunk(b'IEND', b''))
        """,
      ], input: Data())
    let bytes = [UInt8](made.output)
    #expect(bytes.count > 300_000, "\(made.errors)")
    do {
      _ = try Self.reader.read(bytes, limit: Self.limit)
      Issue.record("it was read")
    } catch {
      #expect("\(error)".contains("holds more than its pixels"), "\(error)")
    }
  }

  @Test func moreThanTheLimitIsRefusedByTheHeaderAlone() throws {
    let file = Self.file(.rgb, 8, width: 30, height: 20).bytes
    #expect(Self.errno(file, limit: 600) == nil)
    #expect(Self.errno(file, limit: 599) == EFBIG)
    // Of huge ones there is nothing but the header.
    for (width, height) in [(100_000, 100_000), (16385, 2), (2, 16385), (2_000_000_000, 3), (16384, 16384)] {
      var huge: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
      huge += PNGFile.chunk("IHDR", PNGFile.word(width) + PNGFile.word(height) + [8, 6, 0, 0, 0])
      huge += PNGFile.chunk("IDAT", PNGFile.stored([0, 1, 2, 3]))
      #expect(Self.errno(huge) == EFBIG, "\(width)x\(height)")
    }
    var empty: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
    empty += PNGFile.chunk("IHDR", PNGFile.word(0) + PNGFile.word(8) + [8, 6, 0, 0, 0])
    #expect(Self.errno(empty) == EILSEQ)
  }

  /// What is wrong has to be found by libpng or be harmless; nothing may trap, and nothing be read behind the file's end.
  @Test func damagedFilesAreReadOrRefused() throws {
    let files = Self.kinds.map {
      Self.file($0.0, $0.1, transparency: $0.0 == .palette ? [9, 99] : [], width: 12).bytes
    }
    let guarded = try GuardedBytes(capacity: 1 << 16)
    var random = SplitMix(state: 11)
    func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    var (read, refused) = (0, 0)
    for round in 0..<1500 {
      var file = files[round % files.count]
      for _ in 0...below(4) {
        let at = below(file.count)
        switch below(4) {
        case 0: file[at] ^= 1 << UInt8(below(8))
        case 1: file[at] = UInt8(truncatingIfNeeded: random.next())
        case 2: file.removeSubrange(at..<min(file.count, at + 1 + below(20)))
        default: file.insert(contentsOf: file.prefix(at).suffix(below(20)), at: at)
        }
        if file.isEmpty { file = [0] }
      }
      // Most of the time the checksums are made right, so that what is behind them is reached.
      if below(4) > 0 { file = Self.mended(file) }
      guarded.each(file) { bytes in
        do throws(Failure) {
          let canvas = try Self.reader.read(bytes, limit: 1 << 16)
          read += canvas.bytes.count == canvas.width * canvas.height * 4 ? 1 : 0
        } catch {
          refused += [EILSEQ, EFBIG].contains(error.errno.rawValue) ? 1 : 0
        }
      }
    }
    #expect(read + refused == 3000)
    #expect(read > 50 && refused > 300, "\(read) read, \(refused) refused")
  }

  /// The file with the checksum of each chunk made right, as far as it has chunks.
  private static func mended(_ file: [UInt8]) -> [UInt8] {
    var (made, at) = (file, 8)
    while at + 12 <= made.count {
      let count = made[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
      guard count <= made.count - at - 12 else { break }
      let end = at + 8 + count
      made.replaceSubrange(end..<end + 4, with: PNGFile.word(Int(PNGFile.checksum(Array(made[at + 4..<end])))))
      at = end + 4
    }
    return made
  }
}
