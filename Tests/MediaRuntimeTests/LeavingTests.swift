// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// A change is refused for what it itself breaks: whatever state an object is in, it can be left.
@Suite(.ownThread) struct LeavingTests {
  private static func layout(_ width: Int) -> FrameLayout { FrameLayout(.i420, width: width, height: 48)! }

  /// An encoder of two engines, bound to a running source whose pictures are 1280 wide.
  private func bench(_ widths: [Int]) throws -> Bench {
    var engines = widths.enumerated().map { ScriptedEncoderFactory(name: "engine\($0)", priority: 9 - $0, widest: $1) }
    let bench = try Bench(
      source: ScriptedSourceFactory(script: .init(layout: Self.layout(1280))), encoder: engines.removeFirst(),
      moreEncoders: engines)
    try bench.make("vi/0", ["input": .text("pattern")])
    try bench.make("venc/0", ["codec": .text("h264"), "gop": .integer(10), "backend": .text("auto")])
    try bench.start("vi/0")
    bench.bind("venc/0", "vi/0")
    return bench
  }

  private func errno(_ body: () throws -> Void) -> Errno? {
    do {
      try body()
      return nil
    } catch { return (error as? Refusal)?.errno }
  }

  @Test func anEncoderThatCannotTakeItsSourceIsRefusedWhenEnabledAndOnlyThen() throws {
    let bench = try bench([640, 1000])
    #expect(errno { try bench.set("venc/0", ["enable": .boolean(true)], running: false) } == .outOfRange)
    #expect(errno { try bench.set("venc/0", ["bitrate": .integer(900)], running: false) } == nil)
    #expect(errno { try bench.set("venc/0", ["bitrate": .integer(200_000)], running: false) } == .outOfRange)
    #expect(errno { try bench.set("venc/0", ["enable": .boolean(false)], running: false) } == nil)
    bench.finish()
  }

  @Test func autoTakesTheNextEngineThatCanTakeTheSize() throws {
    let bench = try bench([1000, 1280])
    try bench.set("venc/0", ["enable": .boolean(true)], running: false)
    try bench.start("venc/0")
    #expect(eventually { bench.figures("venc/0").output.frames > 3 })
    #expect(bench.graph.objectState("venc/0")?.active.first { $0.key == "backend" }?.value == "engine1")
    bench.finish()
  }

  @Test func aRunningEncoderWhoseSourceBecameTooLargeTakesOtherSettings() throws {
    let bench = try bench([1280])
    try bench.set("venc/0", ["enable": .boolean(true)], running: false)
    try bench.start("venc/0")
    #expect(eventually { bench.figures("venc/0").output.frames > 3 })
    bench.node("vi/0").output.announce(StreamFormat(layout: Self.layout(1600), rate: .thirty))
    #expect(errno { try bench.set("venc/0", ["bitrate": .integer(900)]) } == nil)
    #expect(errno { try bench.set("venc/0", ["source": .none]) } == nil)
    #expect(errno { try bench.set("venc/0", ["bitrate": .integer(200_000)]) } == .outOfRange)
    bench.finish()
  }
}
