// SPDX-License-Identifier: Apache-2.0
import Base
import Foundation
import MediaCore
import Reports
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// Decoder channels with engines whose behaviour a test decides.
@Suite(.ownThread) struct VdecTests {
  private static let fast: [String: SettingValue] = ["codec": .text("h264"), "pace": .text("none")]

  private func bench(_ factories: ScriptedDecoderFactory..., options: GraphOptions = GraphOptions(workers: 3)) throws
    -> Bench
  { try Bench(decoders: factories, options: options) }

  private func more(_ bench: Bench, _ path: String, _ key: String) -> UInt64? {
    bench.graph.objectState(path)?.moreStatistics.first { $0.key == key }.map { UInt64($0.value) }
  }

  private func isFailed(_ bench: Bench, _ path: String) -> Bool {
    if case .failed? = bench.graph.objectState(path)?.condition { return true }
    return false
  }

  @Test(arguments: [0, 3])
  func everyUnitFedBecomesAFrameAndTheCountsBalance(delay: Int) throws {
    let script = DecoderScript(delay: delay)
    let bench = try bench(ScriptedDecoderFactory(script: script))
    try bench.make("vdec/0", Self.fast)
    try bench.make("venc/0", ["codec": .text("h264")])
    bench.bind("venc/0", "vdec/0")
    try bench.start("vdec/0", "venc/0")
    for round in 1...2 as ClosedRange<UInt64> {
      let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
      #expect(writer.writeAll(FakeStream.stream(200)) == .taken(FakeStream.stream(200).count))
      writer.close()
      #expect(eventually { bench.figures("venc/0").output.frames == 200 * round }, "nothing was lost on the way")
    }
    let figures = bench.figures("vdec/0")
    #expect(figures.input.frames == 400 && figures.output.frames == 400 && figures.dropped.total == 0)
    #expect(figures.inFlight == 0)
    #expect(more(bench, "vdec/0", "bytes_in") == UInt64(2 * FakeStream.stream(200).count))
    #expect(more(bench, "vdec/0", "bytes_skipped") == 0)
    bench.finish()
    #expect(eventually { bench.graph.allocations().pools.allSatisfy { $0.free == $0.total } })
  }

  @Test func aDecoderThatHangsHoldsUpNobodyElseAndIsNamed() throws {
    let script = DecoderScript()
    let other = DecoderScript()
    var options = GraphOptions(workers: 3, starvedAfter: 300_000_000)
    options.stopPatience = 500_000_000
    let bench = try bench(
      ScriptedDecoderFactory(script: script), ScriptedDecoderFactory(name: "other", script: other), options: options)
    try bench.make("vdec/0", Self.fast.merging(["backend": .text("fakedec")]) { $1 })
    try bench.make("vdec/1", Self.fast.merging(["backend": .text("other")]) { $1 })
    try bench.start("vdec/0", "vdec/1")
    let first = try bench.graph.openFeed(Bench.path("vdec/0"))
    let second = try bench.graph.openFeed(Bench.path("vdec/1"))
    _ = first.writeAll(FakeStream.stream(5))
    #expect(eventually { bench.figures("vdec/0").output.frames >= 3 })
    script.gate.close()
    _ = first.writeAll(FakeStream.stream(5))
    #expect(eventually { bench.graph.health().findings.contains { $0.waitingFor?.contains("fakedec 1") == true } })
    _ = second.writeAll(FakeStream.stream(50))
    #expect(eventually { bench.figures("vdec/1").output.frames >= 49 })
    // Stopping does not wait for it for ever, and it cannot be started before it has come back.
    bench.stop("vdec/0")
    #expect(throws: Failure.self) { try bench.start("vdec/0") }
    script.gate.open()
    #expect(eventually { (try? bench.start("vdec/0")) != nil })
    bench.finish()
  }

  @Test func anEngineThatBreaksIsOpenedAnewAndTheStateTells() throws {
    let script = DecoderScript()
    let bench = try bench(ScriptedDecoderFactory(script: script))
    try bench.make("vdec/0", Self.fast)
    try bench.start("vdec/0")
    let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    _ = writer.writeAll(FakeStream.stream(10))
    #expect(eventually { bench.figures("vdec/0").output.frames >= 9 })
    script.fails.close()
    _ = writer.writeAll(FakeStream.stream(20))
    // It fails first, and is given up then where it is still broken.
    #expect(eventually { isFailed(bench, "vdec/0") && more(bench, "vdec/0", "engine_reopened") ?? 0 >= 1 })
    script.fails.open()
    #expect(
      eventually {
        _ = writer.writeAll(FakeStream.stream(10))
        return !isFailed(bench, "vdec/0") && bench.figures("vdec/0").output.frames > 15
      })
    #expect(script.opened.load(ordering: .relaxed) >= 2)
    writer.close()
    // The last unit comes in only when the writer's end has been seen.
    #expect(
      eventually {
        let figures = bench.figures("vdec/0")
        return figures.inFlight == 0 && figures.input.frames == figures.output.frames + figures.dropped.total
      })
    bench.finish()
  }

  @Test func hardwareThatCannotBeOpenedIsPassedOverAndActiveSaysWhy() throws {
    let busy = DecoderScript()
    busy.isBusy.close()
    let bench = try bench(
      ScriptedDecoderFactory(name: "/dev/video9", script: busy, isHardware: true), ScriptedDecoderFactory())
    try bench.make("vdec/0", Self.fast)
    try bench.start("vdec/0")
    let facts = bench.graph.objectState("vdec/0")?.active ?? []
    #expect(facts.first { $0.key == "backend" }?.value == "fakedec")
    #expect(facts.first { $0.key == "backend_why" }?.value.contains("/dev/video9") == true)
    bench.stop("vdec/0")
    // Who asks for the device gets its errno.
    try bench.set("vdec/0", ["backend": .text("/dev/video9")], running: false)
    do {
      try bench.start("vdec/0")
      Issue.record("it was busy")
    } catch let failure as Failure {
      #expect(failure.errno == .resourceBusy)
    }
    bench.finish()
  }

  @Test(arguments: [0, 3])
  func aChannelGoesOverToADeviceThatComesAndLosesNoPicture(delay: Int) throws {
    let device = DecoderScript()
    let software = DecoderScript(delay: delay)
    device.isBusy.close()
    let bench = try bench(
      ScriptedDecoderFactory(name: "/dev/video9", script: device, isHardware: true),
      ScriptedDecoderFactory(script: software))
    try bench.make("vdec/0", Self.fast)
    try bench.start("vdec/0")
    let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    _ = writer.writeAll(FakeStream.stream(15))
    #expect(eventually { software.decoded.load(ordering: .relaxed) >= 14 })
    device.isBusy.open()
    bench.registry.replace(bench.registry.catalogue)
    _ = writer.writeAll(FakeStream.stream(20))
    #expect(eventually { device.decoded.load(ordering: .relaxed) >= 19 })
    writer.close()
    #expect(eventually { bench.figures("vdec/0").output.frames == 35 }, "\(bench.figures("vdec/0"))")
    #expect(bench.figures("vdec/0").dropped.total == 0)
    let facts = bench.graph.objectState("vdec/0")?.active ?? []
    #expect(facts.first { $0.key == "backend_why" }?.value == "auto: a device is there")
    // Other engines that come change nothing.
    bench.registry.replace(bench.registry.catalogue)
    let second = try bench.graph.openFeed(Bench.path("vdec/0"))
    _ = second.writeAll(FakeStream.stream(15))
    second.close()
    #expect(eventually { bench.figures("vdec/0").output.frames == 50 })
    #expect(device.opened.load(ordering: .relaxed) == 1)
    bench.finish()
  }

  @Test func afterADamagedUnitPicturesGoOnAtTheNextKeyPicture() throws {
    let bench = try bench(ScriptedDecoderFactory())
    try bench.make("vdec/0", Self.fast)
    try bench.start("vdec/0")
    let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    _ = writer.writeAll(FakeStream.stream(40, damaged: [13]))
    writer.close()
    #expect(eventually { bench.figures("vdec/0").output.frames == 33 })
    let figures = bench.figures("vdec/0")
    #expect(figures.input.frames == 40 && figures.dropped.deviceError == 7 && figures.inFlight == 0)
    #expect(more(bench, "vdec/0", "units_damaged") == 1 && more(bench, "vdec/0", "units_without_key") == 6)
    #expect(!isFailed(bench, "vdec/0"))
    bench.finish()
  }

  @Test func anEngineThatMakesUpWhatIsMissingGoesOnAndTheDamagedAreCounted() throws {
    let bench = try bench(ScriptedDecoderFactory(script: DecoderScript(entry: .keyPictureOnce)))
    try bench.make("vdec/0", Self.fast)
    try bench.start("vdec/0")
    let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    // It begins at a key picture: five before that are left out. Then one of forty is damaged.
    for _ in 0..<5 { _ = writer.writeAll(FakeStream.unit(isKey: false)) }
    _ = writer.writeAll(FakeStream.stream(40, damaged: [13]))
    writer.close()
    #expect(eventually { bench.figures("vdec/0").output.frames == 39 })
    let figures = bench.figures("vdec/0")
    #expect(figures.input.frames == 45 && figures.dropped.deviceError == 1 && figures.inFlight == 0)
    #expect(figures.dropped[.flushed] == 5 && more(bench, "vdec/0", "units_without_key") == 5)
    #expect(more(bench, "vdec/0", "units_damaged") == 1)
    #expect(more(bench, "vdec/0", "pictures_damaged") == 6, "up to the next key picture")
    #expect(!isFailed(bench, "vdec/0"))
    bench.finish()
  }

  @Test func howFarWhatIsShownLagsBehindWhatIsFedIsTold() throws {
    let bench = try bench(ScriptedDecoderFactory())
    try bench.make(
      "vdec/0", ["codec": .text("h264"), "pace": .text("realtime"), "fps": .rate(try #require(FrameRate(10)))])
    try bench.start("vdec/0")
    let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    // Fed at once, shown one after the other: the tenth is shown 0.9 s after it came, and each that is shown later than that.
    // What a busy machine is late with is left out.
    _ = writer.writeAll(FakeStream.stream(101))
    #expect(eventually { bench.figures("vdec/0").output.frames > 0 })
    #expect(eventually { more(bench, "vdec/0", "feed_lag_us") ?? 0 >= 800_000 })
    writer.close()
    bench.finish()
  }

  @Test func aQueueKnowsSinceWhenBytesComeFasterThanTheyAreTaken() throws {
    let queue = FeedQueue(Bench.path("vdec/0"))
    queue.open()
    let writer = try queue.attach()
    let began = Clock.now()
    _ = writer.writeAll([1, 2, 3])
    #expect(!queue.growsSteadily(at: Clock.now(), since: .milliseconds(20)))
    #expect(
      eventually {
        _ = writer.writeAll([4])
        return queue.growsSteadily(at: Clock.now(), since: .milliseconds(20))
      })
    #expect(!queue.growsSteadily(at: Clock.now(), since: .seconds(1000)))
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    let first = queue.take(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<3]))
    #expect(first == .bytes(3))
    let firstCame = queue.takenCame
    _ = queue.take(into: buffer)
    #expect(began <= firstCame && firstCame < queue.takenCame && queue.takenCame <= Clock.now())
    #expect(!queue.growsSteadily(at: Clock.now(), since: .milliseconds(20)), "all of it was taken")
    writer.close()
  }

  @Test func aContainerIsRefusedHoweverItIsCutAndTheNextStreamIsNot() throws {
    for piece in [1, 100, 5000] {
      let bench = try bench(ScriptedDecoderFactory())
      try bench.make("vdec/0", Self.fast)
      try bench.start("vdec/0")
      let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
      let packet = [0x47] + [UInt8](repeating: 0x55, count: 187)
      let stream = (0..<20).flatMap { _ in packet }
      var refusal: Refusal?
      for at in stride(from: 0, to: stream.count, by: piece) where refusal == nil {
        let outcome = writer.writeAll(Array(stream[at..<min(stream.count, at + piece)]))
        if case .refused(let why) = outcome { refusal = why }
      }
      #expect(refusal?.errno == .invalidArgument && refusal?.reason.contains("MPEG transport stream") == true)
      #expect(refusal?.hint.contains("ffmpeg -i") == true)
      #expect(eventually { isFailed(bench, "vdec/0") })
      writer.close()
      let next = try bench.graph.openFeed(Bench.path("vdec/0"))
      _ = next.writeAll(FakeStream.stream(20))
      next.close()
      #expect(eventually { bench.figures("vdec/0").output.frames == 20 && !isFailed(bench, "vdec/0") })
      bench.finish()
    }
  }

  @Test func aStreamOfWhichNothingCanBeDecodedFailsUntilAnotherComes() throws {
    let bench = try bench(ScriptedDecoderFactory())
    try bench.make("vdec/0", Self.fast)
    try bench.start("vdec/0")
    var writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    _ = writer.writeAll((0..<3000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
    writer.close()
    #expect(eventually { isFailed(bench, "vdec/0") })
    #expect(eventually { more(bench, "vdec/0", "bytes_skipped") == 3000 })
    writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    _ = writer.writeAll(FakeStream.stream(20))
    #expect(eventually { !isFailed(bench, "vdec/0") && bench.figures("vdec/0").output.frames >= 19 })
    writer.close()
    bench.finish()
  }

  @Test func aWriterWaitsForRoomAndASecondOneIsRefused() throws {
    let bench = try bench(ScriptedDecoderFactory())
    try bench.make("vdec/0", ["codec": .text("h264"), "pace": .text("realtime")])
    let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    #expect(throws: Refusal.self) { try bench.graph.openFeed(Bench.path("vdec/0")) }
    // Stopped: told so.
    let bytes = FakeStream.stream(2000, size: 1000)
    guard case .refused(let refusal) = bytes.withUnsafeBytes({ writer.write($0) }) else {
      Issue.record("a stopped channel takes nothing")
      return
    }
    #expect(refusal.errno == .brokenPipe)
    try bench.start("vdec/0")
    var taken = 0
    while case .taken(let count) = bytes.withUnsafeBytes({
      writer.write(UnsafeRawBufferPointer(rebasing: $0[taken...]))
    }), count > 0, taken + count < bytes.count {
      taken += count
    }
    #expect(taken < 1_500_000, "the rest finds no room while pictures are given in real time")
    // It is told when it is stopped meanwhile.
    let told = GateBox()
    writer.whenWritable { told.close() }
    #expect(!told.isShut)
    bench.stop("vdec/0")
    #expect(told.isShut)
    writer.close()
    let next = try bench.graph.openFeed(Bench.path("vdec/0"))
    next.close()
    bench.finish()
  }

  @Test func aRunningChannelAllocatesNothingForAPicture() throws {
    let script = DecoderScript()
    let bench = try bench(ScriptedDecoderFactory(script: script), options: GraphOptions(workers: 1))
    try bench.make("vdec/0", Self.fast)
    try bench.make("venc/0", ["codec": .text("h264")])
    bench.bind("venc/0", "vdec/0")
    try bench.start("vdec/0", "venc/0")
    let writer = try bench.graph.openFeed(Bench.path("vdec/0"))
    for _ in 0..<10 { _ = writer.writeAll(FakeStream.stream(100)) }
    #expect(eventually { script.heapCalls.count > 900 })
    writer.close()
    bench.finish()
    #expect(script.heapCalls.fewest(in: 300..<900) == 0, "of 150 pictures")
  }
}

@Suite(.ownThread) struct UnitLedgerTests {
  @Test func everyUnitIsAnsweredForOnceInAnyOrder() {
    var ledger = UnitLedger()
    let numbers = (0..<10).map { ledger.enter(UnitLedger.Unit(pts: Int64($0) * 100), isKey: false).number }
    #expect(ledger.open == 10)
    for index in [3, 0, 1, 2, 9] { #expect(ledger.settle(numbers[index])?.pts == Int64(index) * 100) }
    #expect(ledger.settle(numbers[3]) == nil && ledger.settle(-1) == nil && ledger.settle(10) == nil)
    #expect(ledger.open == 5)
    // Those whose pictures have come are given on by somebody else.
    let come = ledger.came(numbers[5])
    #expect(come?.pts == 500)
    var rest: [UInt64] = []
    ledger.removeAll(keeping: true) { name, _ in rest.append(name.number) }
    #expect(rest == [4, 6, 7, 8] && ledger.open == 1)
    ledger.removeAll { name, _ in rest.append(name.number) }
    #expect(rest == [4, 6, 7, 8, 5] && ledger.open == 0)
  }

  @Test func aLossSpoilsWhatWasGivenAfterItUpToTheNextKeyPicture() {
    var ledger = UnitLedger()
    for index in 0..<10 { _ = ledger.enter(UnitLedger.Unit(), isKey: index == 0 || index == 6) }
    let (isOver, isLastOver) = (ledger.spoil(after: 3), ledger.spoil(after: 8))
    #expect(isOver && !isLastOver)
    #expect((0..<10).map { ledger.settle($0)?.isSpoilt ?? false } == (0..<10).map { [4, 5, 9].contains($0) })
  }

  @Test func whatRefersToWhatWasNeverThereIsGivenUpWhenAWholePictureComes() {
    var ledger = UnitLedger()
    for index in 0..<8 { _ = ledger.enter(UnitLedger.Unit(isHurt: index < 4 || index == 7), isKey: index == 4) }
    _ = ledger.came(2)
    var gone: [UInt64] = []
    ledger.removeHurt(before: 5) { name, _ in gone.append(name.number) }
    #expect(gone == [0, 1, 3] && ledger.open == 5, "the third has come, the last may come still")
    ledger.removeHurt(before: 8) { name, _ in gone.append(name.number) }
    #expect(gone == [0, 1, 3, 7] && ledger.open == 4)
  }

  @Test func whatNoDecoderHoldsBackSoLongIsGivenUp() {
    var ledger = UnitLedger()
    for _ in 0..<UnitLedger.capacity {
      let entry = ledger.enter(UnitLedger.Unit(), isKey: false)
      #expect(entry.lost == nil)
    }
    let entry = ledger.enter(UnitLedger.Unit(), isKey: false)
    #expect(entry.lost != nil && ledger.open == UnitLedger.capacity)
    #expect(ledger.settle(0) == nil)
  }
}
