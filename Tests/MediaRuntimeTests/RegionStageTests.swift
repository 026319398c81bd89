// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// What regions do to the pictures that pass a channel.
@Suite(.ownThread) struct RegionStageTests {
  private static let cover = """
    rgn/0/type = cover
    rgn/0/width = 16
    rgn/0/height = 16
    rgn/0/color = #C80000
    rgn/0/enable = 1

    """

  @Test func aPictureThatOthersLookAtIsCopiedAndOnlyTheCopyIsDrawnInto() throws {
    let studio = try RegionStudio()
    defer { studio.end() }
    #expect(studio.load(RegionStudio.pipeline) == nil)
    #expect(studio.load(Self.cover + "rgn/0/attach/vpss-0-0/x = 8\n") == nil)
    studio.settle()
    #expect(eventually { studio.count("vpss/0/0", "painted_frames") >= 3 })
    #expect(try studio.luma("vpss/0/0", x: 8) == 200)
    // Pictures of before may still wait for the encoder.
    #expect(try eventually { try studio.luma("venc/0", x: 23, y: 15) == 200 })
    #expect(try studio.luma("vpss/0/0", x: 7) == 0 && studio.luma("vpss/0/0", x: 24) == 0)
    // The input's own pictures, which another encoder is given too.
    for _ in 0..<3 { #expect(try studio.luma("vi/0", x: 8) == 0 && studio.luma("venc/2", x: 8) == 0) }
    #expect(studio.set("vi/0", "enable", "0") == nil)
    #expect(eventually { studio.graph.isAtRest() })
    #expect(studio.count("vpss/0/0", "copied_for_regions") == studio.count("vpss/0/0", "painted_frames"))
  }

  @Test func aPictureOfItsOwnIsDrawnIntoWithoutACopyOnceForAllReceivers() throws {
    let studio = try RegionStudio()
    defer { studio.end() }
    #expect(studio.load(Self.cover + "rgn/0/attach/vpss-0-1/x = 0\n" + RegionStudio.pipeline) == nil)
    #expect(studio.load("venc/3/source = vpss/0/1\nvenc/3/enable = 1\n") == nil)
    #expect(eventually { studio.count("venc/3", "frames_in") >= 5 })
    #expect(try studio.luma("venc/1") == 200 && studio.luma("venc/3") == 200)
    #expect(studio.set("vi/0", "enable", "0") == nil)
    #expect(eventually { studio.graph.isAtRest() })
    #expect(studio.count("vpss/0/1", "painted_frames") == studio.count("vpss/0/1", "frames_out"))
    #expect(studio.count("vpss/0/1", "copied_for_regions") == 0)
    #expect(studio.painter.painted.load(ordering: .relaxed) == studio.count("vpss/0/1", "frames_out"))
  }

  @Test func eachPictureHasOneStateOfARegionAndNoneIsLost() throws {
    let studio = try RegionStudio()
    defer { studio.end() }
    let seen = Mutex<[(UInt8, UInt8)]>([])
    studio.encoder.script.look.withLock {
      $0 = { frame in
        guard frame.layout.width == 64, let first = RegionStudio.luma(frame, x: 0, y: 0),
          let last = RegionStudio.luma(frame, x: 15, y: 15)
        else { return }
        seen.withLock { $0.append((first, last)) }
      }
    }
    #expect(studio.load(Self.cover + "rgn/0/attach/venc-0/x = 0\n" + RegionStudio.pipeline) == nil)
    for number in 1...40 {
      #expect(studio.set("rgn/0", "color", number % 2 == 0 ? "#C80000" : "#640000") == nil)
      let count = seen.withLock { $0.count }
      #expect(eventually { seen.withLock { $0.count } > count })
    }
    #expect(studio.set("vi/0", "enable", "0") == nil)
    #expect(eventually { studio.graph.isAtRest() })
    let all = seen.withLock { $0 }.filter { $0.0 != 0 }
    #expect(all.allSatisfy { $0.0 == $0.1 })
    #expect(all.contains { $0.0 == 200 } && all.contains { $0.0 == 100 })
    // One encoder shares the others' pictures, which are not drawn into; what was lost was lost to a full queue alone.
    #expect(studio.count("venc/0", "dropped") == studio.count("venc/0", "dropped_queue_full"))
  }

  @Test func aPictureThatCannotBeDrawnIntoPassesWithoutAnOverlayAndNotWithoutACover() throws {
    let studio = try RegionStudio()
    defer { studio.end() }
    studio.painter.refuses.close()
    #expect(studio.load(RegionStudio.pipeline + "rgn/0/enable = 1\nrgn/0/attach/venc-0/x = 0\n") == nil)
    studio.write("rgn/0", Array("PIC".utf8) + [8, 8, 50])
    #expect(eventually { studio.count("venc/0", "unpainted_frames") >= 3 })
    #expect(studio.count("venc/0", "dropped_format_mismatch") == 0)
    let why = "not drawn in venc/0: paint fake: Operation not supported (no brush for i420)"
    #expect(studio.condition("rgn/0") == .failed(why: why))
    #expect(studio.graph.health().findings.contains { $0.path == "rgn/0" })
    #expect(studio.logs.errors.records.contains { $0.path == "venc/0" && $0.reason.contains("no brush for i420") })

    #expect(studio.set("rgn/0", "type", "mosaic") == nil)
    studio.settle()
    #expect(eventually { studio.count("venc/0", "dropped_format_mismatch") >= 3 })
    let passed = studio.count("venc/0", "unpainted_frames")
    let dropped = studio.count("venc/0", "dropped_format_mismatch")
    #expect(eventually { studio.count("venc/0", "dropped_format_mismatch") >= dropped + 5 })
    #expect(studio.count("venc/0", "unpainted_frames") == passed)

    // With a brush again it goes on: the next change of what is drawn has it tried.
    studio.painter.refuses.open()
    #expect(studio.set("rgn/0/attach/venc-0", "x", "2") == nil)
    #expect(eventually { studio.count("venc/0", "painted_frames") >= 3 })
    #expect(studio.condition("rgn/0") == .running)
  }

  @Test func drawingsAreMadeReadyOnceForAChangeAndNotForEachPicture() throws {
    let studio = try RegionStudio()
    defer { studio.end() }
    #expect(studio.load(Self.cover + "rgn/0/attach/vi-0/x = 0\n" + RegionStudio.pipeline) == nil)
    #expect(eventually { studio.count("vi/0", "painted_frames") >= 20 })
    #expect(studio.painter.prepared.load(ordering: .relaxed) == 1)
    #expect(studio.load("rgn/0/color = #640000\nrgn/0/attach/vi-0/x = 4\nrgn/0/attach/vi-0/y = 4\n") == nil)
    studio.settle()
    #expect(studio.painter.prepared.load(ordering: .relaxed) == 2)
    #expect(studio.set("rgn/0", "enable", "0") == nil)
    studio.settle()
    let painted = studio.count("vi/0", "painted_frames")
    let given = studio.count("vi/0", "frames_out")
    #expect(eventually { studio.count("vi/0", "frames_out") >= given + 10 })
    // The one that was being drawn then.
    #expect(studio.count("vi/0", "painted_frames") <= painted + 1)
  }

  @Test func whatLiesHigherIsDrawnLaterAndOfOneLayerTheHigherNumber() throws {
    let studio = try RegionStudio()
    defer { studio.end() }
    #expect(studio.load(RegionStudio.pipeline) == nil)
    var text = ""
    for (number, red) in [(0, "10"), (1, "20"), (2, "30")] {
      text += "rgn/\(number)/type = cover\nrgn/\(number)/width = 16\nrgn/\(number)/height = 16\n"
      text += "rgn/\(number)/color = #\(red)0000\nrgn/\(number)/enable = 1\nrgn/\(number)/attach/venc-0/x = 0\n"
    }
    #expect(studio.load(text) == nil)
    #expect(try eventually { try studio.luma("venc/0") == 0x30 })
    #expect(studio.set("rgn/0/attach/venc-0", "layer", "1") == nil)
    #expect(try eventually { try studio.luma("venc/0") == 0x10 })
    #expect(studio.remove("rgn/0/attach/venc-0") == nil)
    #expect(try eventually { try studio.luma("venc/0") == 0x30 })
  }

  @Test func copiesComeFromAPoolOfTheChannelThatGoesWithItsRun() throws {
    let studio = try RegionStudio()
    defer { studio.end() }
    func pools() -> [BufferUser] { studio.graph.allocations().pools.flatMap(\.users) }
    #expect(studio.load(Self.cover + "rgn/0/attach/venc-2/x = 0\n" + RegionStudio.pipeline) == nil)
    #expect(eventually { studio.count("venc/2", "copied_for_regions") > 0 })
    #expect(pools().contains { $0.node == "venc" })
    #expect(studio.set("venc/2", "enable", "0") == nil)
    #expect(!pools().contains { $0.node == "venc" })
  }
}
