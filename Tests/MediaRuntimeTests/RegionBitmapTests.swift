// SPDX-License-Identifier: Apache-2.0
import Base
import Foundation
import MediaCore
import Reports
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// What an overlay shows: bitmaps that are written, files, texts.
@Suite(.ownThread) struct RegionBitmapTests {
  private func overlay() throws -> RegionStudio {
    let studio = try RegionStudio()
    #expect(studio.load(RegionStudio.pipeline + "rgn/0/enable = 1\nrgn/0/attach/venc-0/x = 0\n") == nil)
    return studio
  }

  @Test func aBitmapIsShownFromTheNextPictureOnAndABadOneChangesNothing() throws {
    let studio = try overlay()
    defer { studio.end() }
    #expect(studio.condition("rgn/0") == .waiting(for: "a bitmap"))
    studio.write("rgn/0", Array("PIC".utf8) + [8, 8, 50])
    #expect(studio.condition("rgn/0") == .running && studio.fact("rgn/0", "bitmap") == "8x8 argb8888 of PIC")
    #expect(try eventually { try studio.luma("venc/0") == 50 })
    studio.write("rgn/0", Array("PIC".utf8) + [8])
    let why = "read picture: damaged data (is cut off)"
    #expect(studio.condition("rgn/0") == .failed(why: why) && studio.count("rgn/0", "bitmaps_refused") == 1)
    #expect(studio.logs.errors.records.last?.path == "rgn/0")
    #expect(studio.logs.errors.records.last?.reason == why)
    #expect(try studio.luma("venc/0") == 50)
    // Where something else is seen by now, it has not failed; what was refused can still be read.
    #expect(studio.set("rgn/0", "type", "cover") == nil)
    #expect(eventually { studio.condition("rgn/0") == .running } && studio.fact("rgn/0", "refused") == why)
    #expect(studio.set("rgn/0", "type", "overlay") == nil)
    #expect(eventually { studio.condition("rgn/0") == .failed(why: why) })
    studio.write("rgn/0", Array("PIC".utf8) + [8, 8, 60])
    #expect(studio.condition("rgn/0") == .running && studio.fact("rgn/0", "refused") == nil)
    #expect(try eventually { try studio.luma("venc/0") == 60 })
  }

  @Test(
    arguments: [
      ("argb8888", [0x30, 0x20, 0x10, 0x40], [0x30, 0x20, 0x10, 0x40]),
      ("argb4444", [0x3f, 0x8c], [0xff, 0x33, 0xcc, 0x88]),
      ("argb1555", [0x1f, 0xfc], [0xff, 0x00, 0xff, 200]),
      ("argb1555", [0x00, 0x7c], [0x00, 0x00, 0xff, 100]),
      ("2bpp", [0x02], [0x66, 0x55, 0x44, 200]),
      ("2bpp", [0x00], [0x33, 0x22, 0x11, 100]),
    ] as [(String, [UInt8], [UInt8])])
  func rawBitmapsAreRead(format: String, bytes: [UInt8], pixel: [UInt8]) throws {
    let format = try #require(CanvasFormat(rawValue: format))
    let bitmap = try RegionBitmap(
      bytes, width: 1, height: 1, format: format, readers: [], of: Bench.path("rgn/0"))
    let settings: ObjectSettings = [
      "fg_alpha": .integer(200), "bg_alpha": .integer(100), "palette": .text("#112233,#000000,#445566,#000000"),
    ]
    #expect(try bitmap.pixels(RegionBitmap.Look(settings, of: bitmap)).bytes == pixel)
  }

  @Test func aPartOfABitmapIsItsUpperLeftOne() throws {
    let bitmap = try RegionBitmap(
      (0..<16).map { UInt8($0) }, width: 4, height: 1, format: .argb8888, readers: [], of: Bench.path("rgn/0"))
    let part = try bitmap.pixels(RegionBitmap.Look(["width": .integer(2), "height": .integer(9)], of: bitmap))
    #expect(part.width == 2 && part.height == 1 && part.bytes == (0..<8).map { UInt8($0) })
  }

  @Test func bitmapsOfAnotherSizeAreRefused() throws {
    let studio = try overlay()
    defer { studio.end() }
    func refusal(_ bytes: [UInt8]) -> String? {
      studio.write("rgn/0", bytes)
      return studio.fact("rgn/0", "refused")
    }
    let raw = "bitmap rgn/0: Invalid argument"
    #expect(
      refusal([1, 2, 3]) == "\(raw) (is not a PIC file, or a raw bitmap with its width and height set)")
    #expect(studio.load("rgn/0/width = 6\nrgn/0/height = 2\nrgn/0/format = 2bpp\n") == nil)
    #expect(refusal([1, 2, 3]) == "\(raw) (has 3 bytes; 6x2 2bpp has 4)")
    #expect(
      refusal(Array("PIC".utf8) + [8, 8, 50]) == "\(raw) (is 8x8, not 6x2 as width and height say)")
    #expect(
      studio.count("rgn/0", "bitmaps_refused") == 3 && studio.graph.regionsReport().regions[0].canvasBufferID == nil)
    #expect(refusal([1, 2, 3, 0]) == nil && studio.fact("rgn/0", "bitmap") == "6x2 2bpp of raw")
    #expect(studio.graph.regionsReport().regions[0].format == .palette2)
  }

  @Test func aFileIsReadWhenItIsWrittenAndAtEachStart() throws {
    let studio = try overlay()
    defer { studio.end() }
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("rgn-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (one, two) = (folder.appendingPathComponent("one"), folder.appendingPathComponent("two"))
    try Data(Array("PIC".utf8) + [8, 8, 30]).write(to: one)
    try Data(Array("PIC".utf8) + [8]).write(to: two)

    let missing = studio.set("rgn/0", "bitmap_file", folder.path + "/none")
    #expect(missing?.errno == .noSuchFileOrDirectory && missing?.path == "rgn/0/bitmap_file")
    #expect(studio.set("rgn/0", "bitmap_file", folder.path)?.errno == .isDirectory)
    #expect(studio.runtime.setting(Bench.path("rgn/0"), "bitmap_file") == "")
    #expect(studio.set("rgn/0", "bitmap_file", one.path) == nil)
    studio.settle()
    #expect(studio.condition("rgn/0") == .running && studio.fact("rgn/0", "bitmap") == "8x8 argb8888 of \(one.path)")
    #expect(try eventually { try studio.luma("venc/0") == 30 })
    // One that is none leaves the one before.
    #expect(studio.set("rgn/0", "bitmap_file", two.path)?.errno == .illegalByteSequence)
    #expect(studio.runtime.setting(Bench.path("rgn/0"), "bitmap_file") == one.path)
    #expect(try studio.luma("venc/0") == 30)

    #expect(studio.set("rgn/0", "enable", "0") == nil)
    try Data(Array("PIC".utf8) + [8, 8, 31]).write(to: one)
    #expect(studio.set("rgn/0", "enable", "1") == nil)
    #expect(try eventually { try studio.luma("venc/0") == 31 })
    try FileManager.default.removeItem(at: one)
    #expect(studio.set("rgn/0", "enable", "0") == nil)
    #expect(studio.set("rgn/0", "enable", "1")?.errno == .noSuchFileOrDirectory)
    #expect(studio.runtime.setting(Bench.path("rgn/0"), "enable") == "0")
    #expect(studio.set("rgn/0", "bitmap_file", "") == nil && studio.set("rgn/0", "enable", "1") == nil)
    #expect(studio.condition("rgn/0") == .waiting(for: "a bitmap"))
  }

  @Test func aTextStandsInPlaceOfTheBitmapAndIsRenderedOnlyWhenItIsAnother() throws {
    let studio = try overlay()
    defer { studio.end() }
    studio.write("rgn/0", Array("PIC".utf8) + [8, 8, 50])
    #expect(studio.load("rgn/0/text_color = #000021\nrgn/0/text = hello\nrgn/0/text_size = 10\n") == nil)
    studio.settle()
    #expect(studio.fact("rgn/0", "text") == "hello" && studio.fact("rgn/0", "text_engine") == "fake pen 1")
    #expect(studio.graph.regionsReport().regions[0].width == 50 && studio.count("rgn/0", "texts_rendered") == 1)
    #expect(try eventually { try studio.luma("venc/0", x: 49 % 32) == 0x21 })
    #expect(studio.set("rgn/0/attach/venc-0", "x", "2") == nil)
    studio.settle()
    #expect(studio.count("rgn/0", "texts_rendered") == 1)
    #expect(studio.set("rgn/0", "text", "nothing") == nil)
    studio.settle()
    #expect(studio.condition("rgn/0") == .failed(why: "font fake: No such file or directory (there is none)"))
    #expect(studio.set("rgn/0", "text", "") == nil)
    studio.settle()
    #expect(studio.condition("rgn/0") == .running)
    #expect(try eventually { try studio.luma("venc/0", x: 2) == 50 })
  }

  @Test func aTextWithFieldsIsFilledInAgainEachSecond() throws {
    let studio = try overlay()
    defer { studio.end() }
    #expect(studio.set("rgn/0", "text", "%S") == nil)
    #expect(eventually { studio.count("rgn/0", "texts_rendered") >= 3 })
    let shown = studio.count("rgn/0", "canvases_shown")
    #expect(shown <= studio.count("rgn/0", "texts_rendered"))
    #expect(try RegionText.filled("%Y-%m-%d %%", at: 86400 * 365).hasPrefix("19"))
    #expect(try RegionText.filled("%Y-%m-%d %%", at: 86400 * 365).hasSuffix(" %"))
    #expect(try RegionText.filled("plain", at: 0) == "plain" && RegionText.filled("", at: 0) == "")
    // 85 dates of 24 letters.
    let long = String(repeating: "%c ", count: 85)
    #expect(throws: Failure.self) { try RegionText.filled(long, at: 0) }
    let now = Clock.now()
    #expect(RegionText.nextSecond() > now && RegionText.nextSecond() <= Clock.now() + .seconds(1))
  }

  /// Two covers change places, and what they hid is never seen: the channel gets one new sheet for both.
  @Test func whatOneTransactionShowsAndHidesIsSeenAtOnce() throws {
    let studio = try RegionStudio()
    defer { studio.end() }
    let cover = (0...1).map {
      """
      rgn/\($0)/type = cover
      rgn/\($0)/width = 16
      rgn/\($0)/height = 16
      rgn/\($0)/color = #C80000
      rgn/\($0)/attach/venc-0/x = 0

      """
    }.joined()
    #expect(studio.load(RegionStudio.pipeline + cover + "rgn/0/enable = 1\n") == nil)
    #expect(try eventually { try studio.luma("venc/0") == 200 })
    studio.settle()
    for round in 1...6 {
      let before = studio.painter.prepared.load(ordering: .relaxed)
      let shown = round % 2
      #expect(
        studio.load("rgn/\(1 - shown)/enable = 0\nrgn/\(shown)/enable = 1\nrgn/\(shown)/attach/venc-0/x = \(round)\n")
          == nil)
      studio.settle()
      #expect(studio.painter.prepared.load(ordering: .relaxed) == before + 1, "in round \(round)")
    }
  }
}
