// SPDX-License-Identifier: Apache-2.0
import Codecs
import MediaCore
import Reports
import Synchronization
import TestSupport
import Testing

@testable import MediaRuntime

/// Which picture an output makes its own of.
@Suite(.ownThread) struct NearerPictureTests {
  /// Notes the width of what each of its scalers makes a picture of, by the width of the picture made.
  private final class Notes: Sendable {
    private let widths = Mutex<[Int: Int]>([:])
    func note(_ from: Int, for to: Int) { widths.withLock { $0[to] = from } }
    subscript(to: Int) -> Int? { widths.withLock { $0[to] } }
  }

  private final class NotingScaler: Scaler, @unchecked Sendable {
    private let scaler: any Scaler
    private let notes: Notes
    init(_ scaler: any Scaler, _ notes: Notes) { (self.scaler, self.notes) = (scaler, notes) }
    var engine: String { scaler.engine }
    func engine(
      for from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout
    ) -> String { scaler.engine(for: from, crop: crop, transform: transform, to: to) }
    func scale(
      _ source: borrowing Frame, crop: Rectangle?, transform: PictureTransform, to destination: inout Frame
    ) throws(Failure) -> Int {
      notes.note(crop?.width ?? Int(source.layout.width), for: Int(destination.layout.width))
      return try scaler.scale(source, crop: crop, transform: transform, to: &destination)
    }
  }

  private struct NotingFactory: ScalerFactory {
    let notes: Notes
    let name = "noting"
    let isHardware = false
    func supports(from: PixelFormat, to: PixelFormat, transform: PictureTransform) -> Bool { true }
    func open() throws(Failure) -> any Scaler {
      guard let factory = SoftwareCodecs.scalerFactories().first else {
        throw Failure(.notSupported, "open", on: "test")
      }
      return NotingScaler(try factory.open(), notes)
    }
  }

  /// vi/0 of 384x288 -> vpss/0 -> outputs of these widths, 4:3, all running.
  private func bench(_ widths: [Int], _ notes: Notes) throws -> Bench {
    var script = ScriptedSource.Script()
    script.layout = try #require(FrameLayout(.i420, width: 384, height: 288))
    let bench = try Bench(source: ScriptedSourceFactory(script: script), moreScalers: [NotingFactory(notes: notes)])
    try bench.make("vi/0", ["input": .text("pattern")])
    try bench.make("vpss/0", ["backend": .text("noting")])
    bench.bind("vpss/0", "vi/0")
    for (number, width) in widths.enumerated() {
      try bench.make(
        "vpss/0/\(number)",
        ["width": .integer(width), "height": .integer(width / 4 * 3), "format": .text("i420")])
      try bench.start("vpss/0/\(number)")
    }
    try bench.start("vpss/0", "vi/0")
    return bench
  }

  private func fact(_ bench: Bench, _ path: String, _ key: String) -> String? {
    bench.graph.objectState(path)?.active.first { $0.key == key }?.value
  }

  @Test func smallerPicturesAreMadeOfTheLargestWhereTheyDivideIt() throws {
    let notes = Notes()
    let bench = try bench([256, 128, 64, 96], notes)
    defer { bench.finish() }
    #expect(eventually { notes[256] == 384 && notes[128] == 256 && notes[64] == 256 && notes[96] != nil })
    #expect(notes[96] == 384, "256 is no whole number of times 96")
    #expect(fact(bench, "vpss/0/0", "made_of") == nil)
    #expect(fact(bench, "vpss/0/1", "made_of") == "vpss/0/0")
    #expect(fact(bench, "vpss/0/0", "engine")?.contains(" 3:2 ") == true)
    #expect(fact(bench, "vpss/0/1", "engine")?.contains(" 2:1 ") == true)
    #expect(fact(bench, "vpss/0/2", "engine")?.contains(" 4:1 ") == true)
    // What turns is made of the frame.
    try bench.set("vpss/0/1", ["mirror": .boolean(true)])
    #expect(eventually { notes[128] == 384 && fact(bench, "vpss/0/1", "made_of") == nil })
    try bench.set("vpss/0/1", ["mirror": .boolean(false)])
    #expect(eventually { notes[128] == 256 })
    // And so is everything when the largest is stopped, but what divides the next.
    bench.stop("vpss/0/0")
    #expect(eventually { notes[128] == 384 && notes[64] == 128 })
    #expect(fact(bench, "vpss/0/2", "made_of") == "vpss/0/1")
  }

  @Test func aCropThatChangesIsTheSameInAllOfThem() throws {
    let notes = Notes()
    let bench = try bench([128, 64], notes)
    defer { bench.finish() }
    #expect(eventually { notes[128] == 384 && notes[64] == 128 })
    try bench.set("vpss/0", ["crop": .rectangle(Rectangle(x: 32, y: 32, width: 160, height: 120))])
    #expect(eventually { notes[128] == 160 })
    #expect(eventually { notes[64] == 128 })
  }

  @Test func aPictureLargerThanTheFrameIsNoNearer() throws {
    let notes = Notes()
    let bench = try bench([768, 192], notes)
    defer { bench.finish() }
    #expect(eventually { notes[768] == 384 && notes[192] != nil })
    #expect(notes[192] == 384)
  }

  @Test func equalPicturesAreMadeOnce() throws {
    let notes = Notes()
    let bench = try bench([256, 256], notes)
    #expect(eventually { bench.figures("vpss/0/1").output.frames > 20 })
    #expect(fact(bench, "vpss/0/1", "made_of") == "vpss/0/0")
    #expect(fact(bench, "vpss/0/1", "engine") == "none, buffers are passed on")
    let states = bench.graph.objectStates()
    #expect(states.first { $0.path == "vpss/0/1" }?.statistics.bytesCopied == 0)
    #expect(states.first { $0.path == "vpss/0/0" }?.statistics.bytesCopied ?? 0 > 0)
    // Every buffer comes home.
    bench.stop("vi/0")
    #expect(eventually { bench.graph.isAtRest() })
    #expect(eventually { bench.graph.allocations().pools.allSatisfy { $0.free == $0.total } })
    bench.finish()
  }
}
