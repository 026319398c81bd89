// SPDX-License-Identifier: Apache-2.0
import Codecs
import Glibc
import MediaCore
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// What outputs of a scaler make of pictures while their settings change.
@Suite(.ownThread) struct VpssLiveTests {
  /// Luma of the picture with a number: none of the bars' colours.
  private static func luma(_ number: UInt64) -> UInt8 { UInt8(100 + number % 100) }

  /// What an encoder was given: size, number, and the luma of every pixel.
  private struct Seen: Sendable {
    var number: UInt64
    var width: Int
    var height: Int
    var luma: [UInt8]
    var chroma: [UInt8]
  }

  private final class Audience: Sendable {
    let seen = Mutex<[Seen]>([])

    func look(_ frame: borrowing Frame) {
      let layout = frame.layout
      guard layout.format == .i420, let base = try? frame.buffer.memory.map() else { return }
      func bytes(_ plane: Plane, _ width: Int) -> [UInt8] {
        (0..<Int(plane.lines)).flatMap { line in
          Array(UnsafeRawBufferPointer(start: base + Int(plane.offset) + line * Int(plane.stride), count: width))
        }
      }
      let (width, height) = (Int(layout.width), Int(layout.height))
      let one = Seen(
        number: frame.sequence, width: width, height: height, luma: bytes(layout.plane0, width),
        chroma: bytes(layout.plane1, width / 2) + bytes(layout.plane2, width / 2))
      seen.withLock { $0.append(one) }
    }

    var count: Int { seen.withLock { $0.count } }
  }

  /// vi/0 of 64x48 in numbered greys -> vpss/0 -> vpss/0/0 of 64x32 -> venc/0. Nothing is lost on its way but by choice.
  private func bench(_ audience: Audience, limit: UInt64 = .max, _ values: [String: SettingValue] = [:]) throws -> Bench
  {
    var script = ScriptedSource.Script(limit: limit, isLive: false)
    script.paint = { frame, number in
      guard let base = try? frame.buffer.memory.map() else { return }
      let layout = frame.layout
      memset(base, 128, layout.byteCount)
      memset(base + Int(layout.plane0.offset), CInt(Self.luma(number)), layout.plane0.byteCount)
    }
    let bench = try Bench(
      source: ScriptedSourceFactory(script: script), moreScalers: SoftwareCodecs.scalerFactories(),
      options: GraphOptions(workers: 3, isUnthrottled: true), painter: SoftwareCodecs.painter())
    try bench.make("vi/0", ["input": .text("pattern")])
    try bench.make("vpss/0", ["backend": .text("libyuv")])
    var all: [String: SettingValue] = ["width": .integer(64), "height": .integer(32), "format": .text("i420")]
    for (key, value) in values { all[key] = value }
    try bench.make("vpss/0/0", all)
    try bench.make("venc/0", ["codec": .text("h264"), "gop": .integer(10)])
    bench.encoder.script.takes.store(300, ordering: .relaxed)
    bench.encoder.script.look.withLock { $0 = { audience.look($0) } }
    bench.bind("vpss/0", "vi/0")
    bench.bind("venc/0", "vpss/0/0")
    return bench
  }

  /// The picture is 42 wide between bars of 10 and 12, or fills the frame, and of one number all over.
  private static func isWhole(_ seen: Seen) -> Bool {
    let value = luma(seen.number)
    if seen.luma.allSatisfy({ $0 == value }) { return seen.chroma.allSatisfy { $0 == 128 } }
    guard seen.width == 64, seen.height == 32, let bar = seen.luma.first else { return false }
    // BT.601 in limited range: red is 81, 90, 240, blue 41, 240, 110.
    let colours: [UInt8: (UInt8, UInt8)] = [81: (90, 240), 41: (240, 110)]
    guard let (blue, red) = colours[bar] else { return false }
    let line =
      [UInt8](repeating: bar, count: 10) + [UInt8](repeating: value, count: 42) + [UInt8](repeating: bar, count: 12)
    func difference(_ value: UInt8) -> [UInt8] {
      [UInt8](repeating: value, count: 5) + [UInt8](repeating: 128, count: 21) + [UInt8](repeating: value, count: 6)
    }
    let half = 32 * 16
    for row in 0..<32 where seen.luma[row * 64..<row * 64 + 64] != line[...] { return false }
    for row in 0..<16 {
      guard seen.chroma[row * 32..<row * 32 + 32] == difference(blue)[...],
        seen.chroma[half + row * 32..<half + row * 32 + 32] == difference(red)[...]
      else { return false }
    }
    return true
  }

  @Test func whileEverythingChangesEachPictureIsWholeAndNoneIsLost() throws {
    let audience = Audience()
    let bench = try bench(audience, ["aspect": .text("bars"), "bar_color": .text("#FF0000")])
    defer { bench.finish() }
    try bench.start("venc/0", "vpss/0/0", "vpss/0", "vi/0")
    let half = Rectangle(x: 0, y: 0, width: 500, height: 500)
    let changes: [(String, [String: SettingValue])] = [
      ("vpss/0/0", ["bar_color": .text("#0000FF")]), ("vpss/0/0", ["aspect": .text("cut")]),
      ("vpss/0/0", ["aspect": .text("bars")]), ("vpss/0", ["crop": .permille(half)]),
      ("vpss/0/0", ["bar_color": .text("#FF0000")]),
      ("vpss/0/0", ["crop": .rectangle(Rectangle(x: 4, y: 2, width: 24, height: 18))]),
      ("vpss/0/0", ["aspect": .text("stretch")]), ("vpss/0/0", ["crop": .none]), ("vpss/0", ["crop": .none]),
      ("vpss/0/0", ["crop": .permille(half)]), ("vpss/0/0", ["aspect": .text("cut"), "crop": .none]),
      ("vpss/0/0", ["mirror": .boolean(true)]), ("vpss/0/0", ["aspect": .text("bars")]),
      ("vpss/0/0", ["mirror": .boolean(false)]),
    ]
    for _ in 0..<3 {
      for (object, values) in changes {
        let count = audience.count
        try bench.set(object, values)
        #expect(eventually { audience.count > count + 8 }, "\(object) \(values)")
      }
    }
    bench.stop("vi/0")
    #expect(eventually { bench.graph.isAtRest() })
    let all = audience.seen.withLock { $0 }
    #expect(all.allSatisfy(Self.isWhole), "\(all.first { !Self.isWhole($0) }.map { "\($0)" } ?? "")")
    #expect(all.map(\.number) == Array(0..<UInt64(all.count)), "none is lost, and none comes twice")
    for bar: UInt8 in [81, 41] { #expect(all.contains { $0.luma[0] == bar }) }
    #expect(all.contains { $0.luma[0] == Self.luma($0.number) })
  }

  @Test func aGroupGivesAsManyPicturesAsAskedAndOutputsTakeTheirPartOfThem() throws {
    let audience = Audience()
    let bench = try bench(audience, limit: 120, ["fps": .integer(5)])
    defer { bench.finish() }
    try bench.set("vpss/0", ["fps_dst": .integer(10)])
    try bench.start("venc/0", "vpss/0/0", "vpss/0", "vi/0")
    #expect(eventually { bench.graph.isAtRest() })
    #expect(bench.figures("vi/0").output.frames == 120 && audience.count == 20)
    #expect(bench.graph.objectState("vpss/0/0")?.active.first { $0.key == "fps" }?.value == "5")
    // Every third of the source's, and every second of those.
    #expect(audience.seen.withLock { $0.map(\.number) } == (0..<20).map { UInt64($0 * 6) })
    #expect(bench.figures("vpss/0").output.frames == 40)
    #expect(bench.figures("vpss/0").dropped.frameControl == 80)
  }

  @Test func partsThatAreNotInsideAreRefusedAtTheWriteAndAtTheStart() throws {
    let audience = Audience()
    let bench = try bench(audience)
    defer { bench.finish() }
    try bench.start("venc/0", "vpss/0/0", "vpss/0", "vi/0")
    #expect(eventually { audience.count > 3 })
    let small = Rectangle(x: 0, y: 0, width: 32, height: 24)
    func refused(_ object: String, _ value: SettingValue) -> Refusal? {
      #expect(throws: Refusal.self) { try bench.set(object, ["crop": value]) }
    }
    for (object, value) in [
      ("vpss/0", .rectangle(Rectangle(x: 32, y: 0, width: 64, height: 48))),
      ("vpss/0/0", .rectangle(Rectangle(x: 0, y: 40, width: 32, height: 24))),
      // 6 pixels.
      ("vpss/0/0", .permille(Rectangle(x: 0, y: 0, width: 100, height: 1000))),
    ] as [(String, SettingValue)] {
      let refusal = refused(object, value)
      #expect(refusal?.errno == .outOfRange && refusal?.path == "\(object)/crop" && refusal?.hint.isEmpty == false)
    }
    // An output's is one of the group's.
    try bench.set("vpss/0", ["crop": .rectangle(small)])
    #expect(refused("vpss/0/0", .rectangle(Rectangle(x: 16, y: 0, width: 32, height: 24)))?.errno == .outOfRange)
    try bench.set("vpss/0", ["crop": .none])
    try bench.set("vpss/0/0", ["crop": .rectangle(Rectangle(x: 32, y: 0, width: 32, height: 24))])
    let refusal = refused("vpss/0", .rectangle(small))
    #expect(refusal?.reason.contains("vpss/0/0") == true && refusal?.hint.contains("vpss/0/0/crop") == true)
    let count = audience.count
    #expect(eventually { audience.count > count + 3 })
    // Where nothing was known of the source, the start says so.
    bench.stop("vpss/0/0")
    bench.bind("vpss/0", nil)
    try bench.set("vpss/0/0", ["crop": .rectangle(Rectangle(x: 0, y: 0, width: 640, height: 360))], running: false)
    bench.bind("vpss/0", "vi/0")
    let failure = #expect(throws: Failure.self) { try bench.start("vpss/0/0") }
    #expect(failure?.errno == .outOfRange)
  }

  @Test func equalPicturesBetweenBarsAreMadeOnceAndOthersAreNot() throws {
    let audience = Audience()
    let bench = try bench(audience, ["aspect": .text("bars")])
    defer { bench.finish() }
    for number in 1...2 {
      try bench.make(
        "vpss/0/\(number)",
        [
          "width": .integer(number == 1 ? 64 : 32), "height": .integer(number == 1 ? 32 : 16), "format": .text("i420"),
          "aspect": .text("bars"),
        ])
      try bench.start("vpss/0/\(number)")
    }
    try bench.start("venc/0", "vpss/0/0", "vpss/0", "vi/0")
    #expect(eventually { bench.figures("vpss/0/1").output.frames > 5 && bench.figures("vpss/0/2").output.frames > 5 })
    func source(_ path: String) -> String? {
      bench.graph.objectState(path)?.active.first { $0.key == "made_of" }?.value
    }
    #expect(source("vpss/0/1") == "vpss/0/0")
    #expect(source("vpss/0/2") == nil, "bars are not scaled")
    try bench.set("vpss/0/1", ["bar_color": .text("#FFFFFF")])
    #expect(eventually { source("vpss/0/1") == nil })
  }
}
