// SPDX-License-Identifier: Apache-2.0
import CTurboJPEG
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import Codecs

/// A camera's JPEG pictures, made here with the library's own encoder.
@Suite(.ownThread) struct JPEGConverterTests {
  private static let colours: [(red: Int, green: Int, blue: Int)] = [
    (255, 255, 255), (255, 0, 0), (0, 255, 0), (20, 40, 230),
  ]

  /// Four fields of colour; all tables as the standard has them.
  private static func jpeg(_ width: Int, _ height: Int, _ sampling: TJSAMP = TJSAMP_422) throws -> [UInt8] {
    var pixels = [UInt8](repeating: 0, count: width * height * 3)
    for y in 0..<height {
      for x in 0..<width {
        let c = colours[(y * 2 / height) * 2 + x * 2 / width]
        let at = (y * width + x) * 3
        (pixels[at], pixels[at + 1], pixels[at + 2]) = (UInt8(c.red), UInt8(c.green), UInt8(c.blue))
      }
    }
    let handle = try #require(tjInitCompress())
    defer { tjDestroy(handle) }
    var buffer: UnsafeMutablePointer<UInt8>?
    var size: UInt = 0
    let result = tjCompress2(
      handle, pixels, CInt(width), 0, CInt(height), CInt(TJPF_RGB.rawValue), &buffer, &size, CInt(sampling.rawValue),
      95, 0
    )
    defer { tjFree(buffer) }
    try #require(result == 0)
    return Array(UnsafeBufferPointer(start: buffer, count: Int(size)))
  }

  /// The segments up to the scan, as (marker, start, end).
  private static func segments(_ jpeg: [UInt8]) -> [(marker: UInt8, range: Range<Int>)] {
    var found: [(UInt8, Range<Int>)] = []
    var at = 2
    while at + 4 <= jpeg.count, jpeg[at] == 0xff, jpeg[at + 1] != 0xda {
      let end = at + 2 + (Int(jpeg[at + 2]) << 8 | Int(jpeg[at + 3]))
      found.append((jpeg[at + 1], at..<end))
      at = end
    }
    return found
  }

  private static func withoutHuffmanTables(_ jpeg: [UInt8]) -> [UInt8] {
    var result = jpeg
    for segment in segments(jpeg).reversed() where segment.marker == 0xc4 { result.removeSubrange(segment.range) }
    return result
  }

  private static func frame(_ bytes: [UInt8], _ width: Int, _ height: Int, padding: Int = 0) throws -> Frame {
    let all = bytes + [UInt8](repeating: 0, count: padding)
    let frame = try makeFrame(
      FrameLayout(
        format: .mjpeg, width: width, height: height, plane0: Plane(offset: 0, stride: Int32(all.count), lines: 1)))
    try frame.buffer.memory.map().copyMemory(from: all, byteCount: all.count)
    return frame
  }

  private static func open(_ output: PixelFormat, _ width: Int, _ height: Int) throws -> any PictureConverter {
    try SoftwareCodecs.converterFactories()[0].open(
      FrameLayout(
        format: .mjpeg, width: width, height: height, plane0: Plane(offset: 0, stride: Int32(width * height), lines: 1)),
      to: output)
  }

  /// The samples of a picture at a place, as Y, Cb, Cr.
  private static func sample(_ frame: borrowing Frame, _ x: Int, _ y: Int) throws -> [Int] {
    let p = try frame.beginPixels(write: false)
    defer { try? frame.endPixels(write: false) }
    let luma = Int(p.plane0.at(row: y, column: x).base.pointee)
    let (cx, cy) = (x / 2, y / 2)
    if p.format == .i420 {
      return [
        luma, Int(p.plane1.at(row: cy, column: cx).base.pointee), Int(p.plane2.at(row: cy, column: cx).base.pointee),
      ]
    }
    let chroma = p.plane1.at(row: cy, column: cx * 2)
    return [luma, Int(chroma.base[0]), Int(chroma.base[1])]
  }

  /// BT.601, full range: JPEG's own.
  private static func expected(_ c: (red: Int, green: Int, blue: Int)) -> [Int] {
    let (r, g, b) = (Double(c.red) / 255, Double(c.green) / 255, Double(c.blue) / 255)
    return [
      Int((76.245 * r + 149.685 * g + 29.07 * b).rounded()),
      Int((128 - 43.03 * r - 84.47 * g + 127.5 * b).rounded()),
      Int((128 + 127.5 * r - 106.77 * g - 20.73 * b).rounded()),
    ]
  }

  private static func expectColours(
    _ frame: borrowing Frame, _ width: Int, _ height: Int, gray: Bool = false, _ note: String
  ) throws {
    for (index, colour) in colours.enumerated() {
      let found = try sample(frame, width / 4 + (index % 2) * width / 2, height / 4 + (index / 2) * height / 2)
      let wanted = expected(colour)
      for (a, b) in zip(found, gray ? [wanted[0], 128, 128] : wanted) {
        #expect(abs(a - b) <= 3, "\(note), colour \(index): \(found), not \(wanted)")
      }
    }
  }

  @Test(
    arguments: [TJSAMP_420, TJSAMP_422, TJSAMP_444, TJSAMP_440, TJSAMP_411, TJSAMP_GRAY].map(\.rawValue),
    [PixelFormat.i420, .nv12])
  func everySamplingKeepsItsColoursInFullRange(_ sampling: UInt32, _ output: PixelFormat) throws {
    for (width, height) in [(64, 48), (160, 90), (66, 50), (33, 35)] {
      let converter = try Self.open(output, width, height)
      #expect(converter.layout.color == .jfif)
      let made = try makeFrame(converter.layout)
      let jpeg = try Self.jpeg(width, height, TJSAMP(rawValue: sampling))
      let written = try converter.convert(Self.frame(jpeg, width, height, padding: 100), into: made)
      #expect(written >= width * height * 3 / 2)
      try Self.expectColours(
        made, width, height, gray: sampling == TJSAMP_GRAY.rawValue, "sampling \(sampling) \(width)x\(height)")
    }
  }

  @Test(arguments: [TJSAMP_420, TJSAMP_422].map(\.rawValue))
  func picturesWithoutHuffmanTablesHaveTheUsualOnes(_ sampling: UInt32) throws {
    let whole = try Self.jpeg(160, 96, TJSAMP(rawValue: sampling))
    let bare = Self.withoutHuffmanTables(whole)
    #expect(whole.count - bare.count > 400)
    let converter = try Self.open(.i420, 160, 96)
    let made = try makeFrame(converter.layout)
    _ = try converter.convert(Self.frame(bare, 160, 96), into: made)
    try Self.expectColours(made, 160, 96, "no tables")
  }

  @Test func aDamagedPictureIsRefusedAndTheNextOneIsNot() throws {
    let whole = try Self.jpeg(160, 96)
    let headers = try #require(Self.segments(whole).last?.range.upperBound)
    let converter = try Self.open(.nv12, 160, 96)
    let made = try makeFrame(converter.layout)
    var damaged: [[UInt8]] = [10, headers - 5, headers + 20, whole.count / 2, whole.count - 40].map {
      Array(whole.prefix($0))
    }
    damaged.append([0xff])
    damaged.append([UInt8](repeating: 0, count: 5000))
    damaged.append(Array(whole.dropFirst(7)))
    for bytes in damaged {
      let failure = #expect(throws: Failure.self, "\(bytes.count) of \(whole.count) bytes") {
        _ = try converter.convert(Self.frame(bytes, 160, 96), into: made)
      }
      #expect(failure?.errno == .illegalByteSequence)
      #expect(failure?.detail.isEmpty == false)
      _ = try converter.convert(Self.frame(whole, 160, 96), into: made)
      try Self.expectColours(made, 160, 96, "after a damaged one")
    }
  }

  @Test func aPictureThatLacksNothingButItsEndMarkerIsWhole() throws {
    let whole = try Self.jpeg(160, 96)
    #expect(whole.suffix(2) == [0xff, 0xd9])
    let converter = try Self.open(.i420, 160, 96)
    let made = try makeFrame(converter.layout)
    _ = try converter.convert(Self.frame(Array(whole.dropLast(2)), 160, 96), into: made)
    try Self.expectColours(made, 160, 96, "without an end marker")
    // Where picture data is missing too it is damaged.
    for count in [1, 12, 200] {
      #expect(throws: Failure.self, "\(count) bytes missing before the marker") {
        _ = try converter.convert(Self.frame(Array(whole.dropLast(2 + count)), 160, 96), into: made)
      }
    }
    _ = try converter.convert(Self.frame(Array(whole.dropLast(1)), 160, 96), into: made)
    try Self.expectColours(made, 160, 96, "with half an end marker")
  }

  /// Also where that is a zero: behind 0xff, or because the codes happen to end so.
  @Test func aPictureWithoutEndMarkerIsWholeWhateverItsLastByteIs() throws {
    var endings: Set<UInt8> = []
    for width in stride(from: 16, through: 640, by: 16) {
      for height in [16, 48, 96, 112] {
        let bare = Array(try Self.jpeg(width, height).dropLast(2))
        endings.insert(try #require(bare.last))
        let converter = try Self.open(.i420, width, height)
        _ = try converter.convert(Self.frame(bare, width, height), into: makeFrame(converter.layout))
      }
    }
    #expect(endings.contains(0), "\(endings)")
  }

  @Test func aCutPictureIsNotTakenForOneWithBytesTooMany() throws {
    var whole = try Self.jpeg(160, 96)
    whole.insert(contentsOf: [0, 0, 0], at: try #require(Self.segments(whole).first?.range.upperBound))
    let converter = try Self.open(.i420, 160, 96)
    let made = try makeFrame(converter.layout)
    _ = try converter.convert(Self.frame(whole, 160, 96, padding: 300), into: made)
    try Self.expectColours(made, 160, 96, "bytes too many")
    #expect(throws: Failure.self) {
      _ = try converter.convert(Self.frame(Array(whole.prefix(whole.count / 2)), 160, 96), into: made)
    }
  }

  @Test func alarmingSizesAreCutOrRefused() throws {
    // Whole blocks, as of cameras that code 1088 lines of 1080.
    let converter = try Self.open(.i420, 160, 90)
    let made = try makeFrame(converter.layout)
    _ = try converter.convert(Self.frame(try Self.jpeg(176, 96), 160, 90), into: made)
    #expect(made.layout.height == 90)
    #expect(abs(try Self.sample(made, 10, 10)[0] - 255) <= 3)
    let failure = #expect(throws: Failure.self) {
      _ = try converter.convert(Self.frame(try Self.jpeg(160, 88), 160, 90), into: made)
    }
    #expect(failure?.detail == "a picture of 160x88 instead of 160x90")
  }

  @Test(arguments: [(65500, 176), (96, 65500)])
  func noMemoryIsGotForASizeThatIsDamaged(height: Int, width: Int) throws {
    var jpeg = try Self.jpeg(176, 96)
    let header = try #require(Self.segments(jpeg).first { $0.marker == 0xc0 }?.range.lowerBound)
    // Marker, length, bits a sample, lines, columns.
    (jpeg[header + 5], jpeg[header + 6]) = (UInt8(height >> 8), UInt8(height & 0xff))
    (jpeg[header + 7], jpeg[header + 8]) = (UInt8(width >> 8), UInt8(width & 0xff))
    let converter = try Self.open(.i420, 160, 90)
    let made = try makeFrame(converter.layout)
    let failure = #expect(throws: Failure.self) { _ = try converter.convert(Self.frame(jpeg, 160, 90), into: made) }
    #expect(failure?.errno == .illegalByteSequence)
    #expect(failure?.detail == "a picture of \(width)x\(height) instead of 160x90")
  }
}
