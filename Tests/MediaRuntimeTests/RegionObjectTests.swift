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

/// Regions and what attaches them as objects: made, set, refused, saved, removed.
@Suite(.ownThread) struct RegionObjectTests {
  private static let targets = "vi/0/enable = 0\nvpss/0/0/enable = 0\nvenc/0/enable = 0\nvo/0/enable = 0\n"

  private func studio() throws -> RegionStudio {
    let studio = try RegionStudio()
    #expect(studio.load("vi/0/enable = 0\nvpss/0/0/enable = 0\nvenc/0/enable = 0\nrgn/0/enable = 0\n") == nil)
    return studio
  }

  @Test func attachmentsAreMadeWhereSomethingIsThatCanShowThem() throws {
    let studio = try studio()
    defer { studio.end() }
    for target in ["vi-0", "vpss-0-0", "venc-0"] { #expect(studio.create("rgn/0/attach/\(target)") == nil) }
    let again = studio.create("rgn/0/attach/venc-0")
    #expect(again?.errno == .fileExists && again?.path == "rgn/0/attach/venc-0")
    let cases: [(String, Errno, String)] = [
      ("rgn/0/attach/venc-1", .noSuchFileOrDirectory, "there is no venc/1"),
      ("rgn/1/attach/venc-0", .noSuchFileOrDirectory, "there is no rgn/1"),
      ("rgn/0/attach/vpss-0", .notSupported, "nothing can be attached to vpss/0"),
      ("rgn/0/attach/rgn-0", .notSupported, "nothing can be attached to rgn/0"),
      ("rgn/0/attach/venc-64", .outOfRange, "is out of range"),
      ("rgn/0/attach/null-0", .invalidArgument, "not a name of an object"),
    ]
    let before = studio.runtime.configText()
    for (path, errno, reason) in cases {
      let refusal = studio.create(path)
      #expect(refusal?.errno == errno && refusal?.reason == reason, "\(path): \(String(describing: refusal))")
    }
    #expect(ObjectPath("rgn/128") == nil && ObjectPath("rgn/0/attach/venc-00") == nil)
    #expect(studio.create("rgn/127") == nil)
    #expect(studio.remove("rgn/127") == nil)
    #expect(studio.runtime.configText() == before)
  }

  @Test func whatIsAttachedOrHasSomethingAttachedIsBusy() throws {
    let studio = try studio()
    defer { studio.end() }
    #expect(studio.load("rgn/0/attach/venc-0/x = 16\nrgn/0/attach/vi-0/x = 8\nrgn/5/attach/venc-0/y = 2\n") == nil)
    let region = studio.remove("rgn/0")
    #expect(region?.errno == .resourceBusy && region?.reason == "is attached to vi/0, venc/0")
    #expect(region?.hint == "detach it first: rmdir rgn/0/attach/vi-0")
    let channel = studio.remove("venc/0")
    #expect(channel?.errno == .resourceBusy && channel?.reason == "has rgn/0, rgn/5 attached")
    #expect(channel?.hint == "detach that first: rmdir rgn/0/attach/venc-0")
    // Together they may go, in either order of the parts.
    let path = Bench.path
    #expect(
      studio.apply(
        .remove(path("rgn/5/attach/venc-0")), .remove(path("rgn/0/attach/venc-0")), .remove(path("venc/0"))) == nil)
    #expect(studio.apply(.remove(path("rgn/0")), .remove(path("rgn/0/attach/vi-0"))) == nil)
    #expect(studio.runtime.objects.map(\.path.description) == ["vi/0", "vpss/0", "vpss/0/0", "rgn/5"])
    #expect(studio.load("replace\n# nothing\n") == nil)
    #expect(studio.runtime.objects.isEmpty && studio.graph.regionsReport().regions.isEmpty)
  }

  @Test func aRunningRegionIsStoppedFirstAndItsRemovalTakesItOutOfThePictures() throws {
    let studio = try RegionStudio()
    defer { studio.end() }
    #expect(studio.load(RegionStudio.pipeline + "rgn/0/type = mosaic\nrgn/0/enable = 1\n") == nil)
    #expect(studio.create("rgn/0/attach/venc-0") == nil)
    #expect(try eventually { try studio.luma("venc/0") == 77 })
    #expect(studio.remove("rgn/0/attach/venc-0") == nil)
    #expect(try eventually { try studio.luma("venc/0") == 0 })
    #expect(studio.remove("rgn/0")?.hint == "stop it first: echo 0 > rgn/0/enable")
    #expect(studio.set("rgn/0", "enable", "0") == nil && studio.condition("rgn/0") == .stopped)
    #expect(studio.remove("rgn/0") == nil && studio.condition("rgn/0") == nil)
  }

  @Test func settingsAreRefusedWithTheirReason() throws {
    let studio = try studio()
    defer { studio.end() }
    #expect(studio.create("rgn/0/attach/venc-0") == nil)
    let cases: [(String, String, String, Errno, String)] = [
      ("rgn/0", "type", "circle", .invalidArgument, "is not a choice"),
      ("rgn/0", "width", "0", .outOfRange, "is out of range"),
      ("rgn/0", "height", "16385", .outOfRange, "is out of range"),
      ("rgn/0", "color", "red", .invalidArgument, "is no colour"),
      ("rgn/0", "color", "#12345", .invalidArgument, "is no colour"),
      ("rgn/0", "palette", "#000000,#FFFFFF", .invalidArgument, "is not 4 colours"),
      ("rgn/0", "block", "12", .invalidArgument, "is not a choice"),
      ("rgn/0", "alpha", "256", .outOfRange, "is out of range"),
      ("rgn/0", "points", "0,0 1", .invalidArgument, "has a part that is no point"),
      ("rgn/0", "points", "0,0 1,1 2,2", .invalidArgument, "is not 2 or 4 points"),
      ("rgn/0", "points", "0,0 99999,1", .outOfRange, "is out of range"),
      ("rgn/0", "bitmap_file", "logo.png", .invalidArgument, "is not an absolute path"),
      ("rgn/0", "text", String(repeating: "a", count: 257), .argListTooLong, "is too long"),
      ("rgn/0/attach/venc-0", "layer", "8", .outOfRange, "is out of range"),
      ("rgn/0/attach/venc-0", "x", "-16385", .outOfRange, "is out of range"),
    ]
    let before = studio.runtime.configText()
    for (object, key, value, errno, reason) in cases {
      let refusal = studio.set(object, key, value)
      #expect(refusal?.errno == errno && refusal?.reason == reason, "\(key) = \(value): \(String(describing: refusal))")
      #expect(refusal?.path == "\(object)/\(key)")
    }
    #expect(studio.runtime.configText() == before)
    // Colours read back in one spelling.
    #expect(studio.set("rgn/0", "color", "#a0b0c0") == nil)
    #expect(studio.runtime.setting(Bench.path("rgn/0"), "color") == "#A0B0C0")
  }

  @Test func layersAndPointsFitTheType() throws {
    let studio = try studio()
    defer { studio.end() }
    #expect(studio.load("rgn/0/attach/venc-0/layer = 5\n") == nil)
    let mosaic = studio.set("rgn/0", "type", "mosaic")
    #expect(mosaic?.errno == .outOfRange && mosaic?.path == "rgn/0/attach/venc-0/layer" && mosaic?.hint == "0..3")
    #expect(studio.runtime.setting(Bench.path("rgn/0"), "type") == "overlay")
    // In one transaction both, in either order.
    #expect(studio.load("rgn/0/attach/venc-0/layer = 3\nrgn/0/type = mosaic\n") == nil)
    #expect(studio.set("rgn/0/attach/venc-0", "layer", "4")?.reason == "is no layer of a mosaic")
    #expect(studio.load("rgn/0/type = cover\nrgn/0/attach/venc-0/layer = 7\n") == nil)

    #expect(studio.set("rgn/0", "points", "0,0 9,9")?.reason == "is not the four corners of a cover")
    #expect(studio.set("rgn/0", "points", "0,0 9,0 9,9 0,9") == nil)
    #expect(studio.set("rgn/0", "type", "line") == nil)
    #expect(studio.runtime.setting(Bench.path("rgn/0"), "points") == "")
    let line = studio.set("rgn/0", "enable", "1")
    #expect(line?.errno == .invalidArgument && line?.reason == "a line needs its two ends")
    #expect(studio.set("rgn/0", "points", "0,0 9,9") == nil && studio.set("rgn/0", "enable", "1") == nil)
    #expect(studio.condition("rgn/0") == .running)
  }

  @Test func theConfigurationHasAllOfItAndGivesItBack() throws {
    let studio = try studio()
    defer { studio.end() }
    let text = """
      vpss/0/1/enable = 0
      rgn/0/type = cover
      rgn/0/points = 0,0 64,0 64,32 0,32
      rgn/0/color = #FF8000
      rgn/0/thickness = 4
      rgn/0/enable = 1
      rgn/0/attach/vpss-0-1/x = -8
      rgn/0/attach/vpss-0-1/layer = 2
      rgn/0/attach/vi-0/y = 40
      rgn/12/text = %H:%M:%S
      rgn/12/text_outline = off
      rgn/12/attach/venc-0/x = 16

      """
    #expect(studio.load(text) == nil)
    let saved = studio.runtime.configText()
    let lines = String(decoding: saved, as: UTF8.self).split(separator: "\n").map(String.init)
    for line in text.split(separator: "\n") { #expect(lines.contains(String(line)), "\(line)") }
    let order = studio.runtime.objects.map(\.path.description).filter { $0.hasPrefix("rgn") }
    #expect(order == ["rgn/0", "rgn/0/attach/vi-0", "rgn/0/attach/vpss-0-1", "rgn/12", "rgn/12/attach/venc-0"])
    let other = try RegionStudio()
    defer { other.end() }
    #expect(other.load(String(decoding: saved, as: UTF8.self)) == nil)
    #expect(other.runtime.configText() == saved)
    #expect(studio.load(String(decoding: saved, as: UTF8.self)) == nil)
    #expect(studio.runtime.configText() == saved)
    #expect(studio.load("rgn/1/attach/venc-9/x = 0\n")?.reason == "line 1: rgn/1/attach/venc-9: there is no venc/9")
  }

  @Test func theVendorsPageHasRegionsAttachmentsAndCanvases() throws {
    let studio = try studio()
    defer { studio.end() }
    #expect(
      studio.load(
        "rgn/3/type = mosaic\nrgn/3/width = 128\nrgn/3/height = 96\nrgn/0/attach/venc-0/x = 16\nrgn/0/attach/venc-0/layer = 4\n"
          + "rgn/3/attach/venc-0/y = 24\n") == nil)
    studio.write("rgn/0", Array("PIC".utf8) + [40, 20, 7])
    let report = studio.graph.regionsReport()
    let buffers = studio.graph.allocations()
    let canvas = try #require(report.regions.first?.canvasBufferID)
    #expect(
      report.regions == [
        RegionReport(
          id: 0, shape: .overlay, width: 40, height: 20, format: .argb8888, canvasBufferID: canvas, canvasReferences: 1),
        RegionReport(id: 3, shape: .mosaic, width: 128, height: 96),
      ])
    let node = studio.graph.object(Bench.path("venc/0"))!.node.id
    #expect(
      report.attachments == [
        RegionAttachment(regionID: 3, nodeID: node, x: 0, y: 24, layer: 0),
        RegionAttachment(regionID: 0, nodeID: node, x: 16, y: 0, layer: 4),
      ])
    // Two canvases, of which one is shown.
    let own = buffers.buffers.filter { $0.poolID == buffers.buffers.first { $0.id == canvas }?.poolID }
    #expect(own.count == 2 && own.map(\.references).sorted() == [0, 1])
    #expect(own.allSatisfy { $0.size >= 40 * 20 * 4 })
    studio.write("rgn/0", Array("PIC".utf8) + [40, 20, 9])
    let next = try #require(studio.graph.regionsReport().regions.first?.canvasBufferID)
    #expect(next != canvas && own.contains { $0.id == next })
    #expect(studio.apply(.remove(Bench.path("rgn/0/attach/venc-0")), .remove(Bench.path("rgn/0"))) == nil)
    studio.settle()
    #expect(!studio.graph.allocations().buffers.contains { $0.id == next })
  }
}
