// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import Reports
import TestSupport
import Testing

@testable import MediaRuntime

/// `health` names the culprit when one stage is stalled on purpose.
@Suite(.ownThread) struct GraphHealthTests {
  private static let options = {
    var options = GraphOptions(workers: 3, starvedAfter: 300_000_000)
    options.lossSeconds = 1
    // What hangs here is left soon.
    options.stopPatience = 500_000_000
    return options
  }()

  /// A pipeline with these encoders, both of which have given some pictures.
  private func running(_ encoders: EncoderScript) throws -> Bench {
    let bench = try Bench(encoder: ScriptedEncoderFactory(script: encoders), options: Self.options)
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/0").output.frames > 3 && bench.figures("venc/1").output.frames > 3 })
    return bench
  }

  /// Waits for a report that says all of something at once. In any other one somebody else may stand still too, whom the machine
  /// had wait for 300 ms.
  private func reports(_ bench: Bench, _ isSo: (HealthReport) -> Bool) -> Bool {
    eventually { isSo(bench.graph.health()) }
  }

  @Test func aPipelineThatMovesIsOK() throws {
    // Slow enough for a busy machine to lose nothing for a second.
    let source = ScriptedSourceFactory(script: .init(intervalMicroseconds: 20_000))
    let bench = try Bench(source: source, options: Self.options)
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/1").output.frames > 5 })
    #expect(eventually { bench.graph.health().verdict == .ok })
    bench.finish()
  }

  // MARK: what moves, and not as it should

  private func troubles(of bench: Bench, _ path: String) -> [HealthTrouble.Kind] {
    bench.graph.health().troubles.filter { $0.path == path }.map(\.kind)
  }

  @Test func anEncoderThatIsTooSlowIsNamedWithWhatItLosesAndHowLongItWorks() throws {
    let script = EncoderScript()
    let source = ScriptedSource.Script(isLive: true, rate: FrameRate(100, 1)!, intervalMicroseconds: 10_000)
    let bench = try Bench(
      source: ScriptedSourceFactory(script: source), encoder: ScriptedEncoderFactory(script: script),
      options: Self.options)
    try bench.make("vi/0")
    try bench.make("venc/0", ["codec": .text("h264")])
    bench.bind("venc/0", "vi/0")
    script.takes.store(60_000, ordering: .relaxed)
    try bench.start("vi/0", "venc/0")
    #expect(
      reports(bench) { health in
        let kinds = health.troubles.filter { $0.path == "venc/0" }.map(\.kind)
        let loses = kinds.contains {
          guard case .loses(let counts, 1) = $0 else { return false }
          return counts == DropCounts(queueFull: counts.total) && counts.total > 3
        }
        let works = kinds.contains {
          if case .isOverworked(let work, 10_000) = $0 { work > 40_000 } else { false }
        }
        return loses && works && health.verdict == .degraded && health.findings.isEmpty
      })
    // By itself, once nothing is lost any more.
    script.takes.store(0, ordering: .relaxed)
    #expect(eventually { troubles(of: bench, "venc/0").isEmpty })
    bench.finish()
  }

  @Test func aCameraThatGivesHalfOfWhatItSaidIsNamedWithBothRates() throws {
    let source = ScriptedSource.Script(isLive: true, rate: FrameRate(100, 1)!, intervalMicroseconds: 20_000)
    let bench = try Bench(source: ScriptedSourceFactory(script: source), options: Self.options)
    try bench.make("vi/0")
    try bench.start("vi/0")
    #expect(
      eventually {
        troubles(of: bench, "vi/0").contains {
          if case .isSlow(let reached, 100) = $0 { reached < 55 && reached > 1 } else { false }
        }
      })
    bench.finish()
  }

  @Test func aFileWhosePicturesAreFurtherApartThanItsRateSaysIsNotSlow() throws {
    // 100 frames/s are stated, and the time stamps are 10 to a second.
    let source = ScriptedSource.Script(isLive: false, rate: FrameRate(100, 1)!, stampRate: FrameRate(10, 1)!)
    let bench = try Bench(source: ScriptedSourceFactory(script: source), options: Self.options)
    try bench.make("vi/0")
    try bench.start("vi/0")
    #expect(eventually { bench.figures("vi/0").output.frames > 25 })
    // Of the last second: more for a moment where a picture was late and the next was not.
    #expect(
      eventually {
        let reached = bench.node("vi/0").framesPerSecond
        return reached < 11 && reached > 0
      })
    #expect(troubles(of: bench, "vi/0").isEmpty || bench.figures("vi/0").dropped.late > 0)
    bench.finish()
  }

  @Test func whatStoodStillWhileTheProcessWasStoppedIsNotToBlame() throws {
    let gate = GateBox()
    let bench = try Bench(source: ScriptedSourceFactory(gate: gate), options: Self.options)
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/0").output.frames > 3 })
    gate.close()
    #expect(eventually { bench.graph.health().findings.count == 6 })
    // It stands still from then on, so that the look must follow within 300 ms.
    #expect(
      eventually {
        bench.graph.resumed()
        return bench.graph.health().findings.isEmpty && bench.graph.objectState("venc/0")?.condition == .running
      })
    #expect(eventually { bench.graph.health().findings.count == 6 })
    bench.finish()
  }

  @Test func aStuckEncoderIsNamedWithItsFullQueueAndNobodyElse() throws {
    let script = EncoderScript()
    let bench = try Bench(encoder: ScriptedEncoderFactory(script: script), options: Self.options)
    try bench.make("vi/0")
    try bench.make("vi/1")
    try bench.make("venc/0", ["codec": .text("h264")])
    bench.bind("venc/0", "vi/0")
    try bench.start("vi/0", "vi/1", "venc/0")
    #expect(eventually { bench.figures("venc/0").output.frames > 3 })
    script.gate.close()
    let queue = QueueFinding(name: "venc/0 input", fill: .full, waiting: 4, capacity: 4)
    let isNamed = reports(bench) { health in
      guard health.verdict == .degraded, health.findings.count == 1, let finding = health.findings.first else {
        return false
      }
      return finding.path == "venc/0" && finding.waitingFor?.contains("engine") == true && finding.queue == queue
    }
    #expect(isNamed, "\(bench.graph.health().findings)")
    script.gate.open()
    #expect(eventually { bench.graph.health().findings.isEmpty })
    bench.finish()
  }

  @Test func aStuckScalerIsNamedFirstAndItsReceiversWaitForIt() throws {
    let script = ScalerScript()
    let bench = try Bench(scaler: ScriptedScalerFactory(script: script), options: Self.options)
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/1").output.frames > 3 })
    script.gate.close()
    let isNamed = reports(bench) { health in
      guard let first = health.findings.first,
        let receiver = health.findings.first(where: { $0.path == "venc/1" })
      else { return false }
      return first.path == "vpss/0" && first.waitingFor == "vpss/0/1, whose scaler does not come back"
        && receiver.queue?.fill == .empty && receiver.waitingFor?.hasPrefix("vpss/0") == true
    }
    #expect(isNamed, "\(bench.graph.health().findings)")
    script.gate.open()
    #expect(eventually { bench.graph.health().findings.isEmpty })
    bench.finish()
  }

  @Test func aSourceThatGivesNothingIsNamedFirst() throws {
    let gate = GateBox()
    let bench = try Bench(source: ScriptedSourceFactory(gate: gate), options: Self.options)
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/0").output.frames > 3 })
    gate.close()
    #expect(eventually { bench.graph.health().findings.count == 6 })
    let findings = bench.graph.health().findings
    #expect(findings.first?.path == "vi/0")
    #expect(findings.first?.waitingFor == "input fake")
    #expect(findings.first { $0.path == "venc/0" }?.waitingFor == "vi/0")
    bench.finish()
  }

  @Test func aSourceWhoseBuffersOthersHoldWaitsForThemAndIsNotTheCulprit() throws {
    let (encoders, scalers) = (EncoderScript(), ScalerScript())
    let bench = try Bench(
      encoder: ScriptedEncoderFactory(script: encoders), scaler: ScriptedScalerFactory(script: scalers),
      options: Self.options)
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/0").output.frames > 3 })
    // The encoder that gets the source's own pictures keeps one and a full queue of them, the scaler what is left.
    encoders.gate.close()
    #expect(eventually { encoders.gate.held == 2 && bench.node("venc/0").input.waiting == 4 })
    scalers.gate.close()
    func found(_ path: String) -> HealthFinding? { bench.graph.health().findings.first { $0.path == path } }
    #expect(
      eventually { found("vi/0")?.waitingFor == "a buffer of pool vi0: venc/0 holds 5, vpss/0 holds 1 of 6" },
      "\(String(describing: found("vi/0")))")
    // Both culprits stand before it.
    var order: [String] = []
    let named = eventually {
      order = bench.graph.health().findings.map(\.path)
      return Set(order.prefix { $0 != "vi/0" }).isSuperset(of: ["venc/0", "vpss/0"])
    }
    #expect(named, "\(order)")
    encoders.gate.open()
    scalers.gate.open()
    #expect(eventually { bench.graph.health().findings.isEmpty })
    bench.finish()
  }

  @Test func anEncoderWithoutASourceSaysSo() throws {
    let bench = try Bench(options: Self.options)
    try bench.make("venc/0", ["codec": .text("h264")])
    try bench.start("venc/0")
    #expect(eventually { bench.graph.health().findings.first?.waitingFor == "a source: none is bound" })
    #expect(bench.graph.objectState("venc/0")?.condition == .starved)
    bench.finish()
  }

  @Test func aSourceThatIsStoppedIsNamedByItsReceivers() throws {
    let bench = try Bench(options: Self.options)
    try bench.pipeline()
    bench.stop("vi/0")
    #expect(
      eventually {
        bench.graph.health().findings.first { $0.path == "venc/0" }?.waitingFor == "vi/0, which is stopped"
      })
    bench.finish()
  }

  @Test func stoppingAStuckEncoderComesBackAndSaysSo() throws {
    let script = EncoderScript()
    let bench = try running(script)
    script.gate.close()
    #expect(eventually { script.gate.held == 2 && bench.figures("venc/0").dropped.queueFull > 0 })
    bench.stop("venc/0")
    #expect(throws: Failure.self) { try bench.start("venc/0") }
    script.gate.open()
    #expect(bench.startsInTheEnd("venc/0"))
    let before = bench.figures("venc/0").output.frames
    #expect(eventually { bench.figures("venc/0").output.frames > before })
    bench.finish()
  }

  @Test func anEncoderThatFailsAfterItWasStoppedStaysStoppedAndCanBeStarted() throws {
    let script = EncoderScript()
    let bench = try running(script)
    script.gate.close()
    #expect(eventually { script.gate.held == 2 && bench.figures("venc/0").dropped.queueFull > 0 })
    bench.stop("venc/0")
    script.fails.close()
    script.gate.open()
    let channel = try #require(bench.graph.object(Bench.path("venc/0")) as? VencChannel)
    #expect(eventually { channel.session.isIdle })
    #expect(channel.state.value.kind == .stopped)
    #expect(channel.session.runningSince == 0, "it is at work no more")
    script.fails.open()
    try bench.start("venc/0")
    let before = bench.figures("venc/0").output.frames
    #expect(eventually { bench.figures("venc/0").output.frames > before })
    bench.finish()
  }

  @Test func anEncoderThatIsRemovedWhileItHangsLeavesNothingBehindOnceItComesBack() throws {
    let script = EncoderScript()
    let bench = try running(script)
    script.gate.close()
    #expect(eventually { script.gate.held == 2 && bench.node("venc/0").input.waiting == 4 })
    func held() -> Int {
      bench.graph.allocations().buffers.count { buffer in buffer.users.contains { $0.isGone } }
    }
    bench.remove("venc/0")
    #expect(held() == 5, "one is inside and four wait")
    script.gate.open()
    #expect(eventually { held() == 0 })
    bench.finish()
  }

  @Test func anInputThatHangsIsGivenUpAndCanBeStartedOnceItComesBack() throws {
    let source = ScriptedSource.Script()
    let bench = try Bench(source: ScriptedSourceFactory(script: source), options: Self.options)
    try bench.pipeline()
    #expect(eventually { bench.figures("vi/0").output.frames > 3 })
    source.hangs.close()
    let frames = { bench.figures("vi/0").output.frames }
    #expect(eventually { source.hangs.held == 1 && bench.graph.health().findings.first?.path == "vi/0" })
    bench.stop("vi/0")
    #expect(bench.graph.objectState("vi/0")?.condition == .stopped)
    #expect(throws: Failure.self) { try bench.start("vi/0") }
    source.hangs.open()
    #expect(bench.startsInTheEnd("vi/0"))
    let before = frames()
    #expect(eventually { frames() > before })
    bench.finish()
  }

  @Test func anOutputWhoseScalerHangsIsRefusedAtOnceAndStartsOnceItComesBack() throws {
    let script = ScalerScript()
    let bench = try Bench(scaler: ScriptedScalerFactory(script: script), options: Self.options)
    try bench.pipeline()
    #expect(eventually { bench.figures("vpss/0/1").output.frames > 3 })
    script.gate.close()
    #expect(eventually { script.gate.held == 1 })
    bench.stop("vpss/0/1")
    #expect(throws: Failure.self) { try bench.start("vpss/0/1") }
    script.gate.open()
    #expect(bench.startsInTheEnd("vpss/0/1"))
    let before = bench.figures("vpss/0/1").output.frames
    #expect(eventually { bench.figures("vpss/0/1").output.frames > before })
    // Once its last picture is coded.
    #expect(eventually { bench.graph.allocations().pools.count == 2 }, "the pool of before is gone")
    bench.finish()
  }

  @Test func anEncoderThatRefusesAChangeIsOpenedAnewWithIt() throws {
    let script = EncoderScript()
    let bench = try running(script)
    let opened = script.opened.load(ordering: .relaxed)
    script.refusesChanges.close()
    try bench.set("venc/0", ["bitrate": .integer(8000)])
    #expect(eventually { script.opened.load(ordering: .relaxed) == opened + 1 })
    #expect(
      eventually { (bench.graph.object(Bench.path("venc/0")) as? VencChannel)?.used?.configuration.bitrate == 8000 },
      "what is shown is what the engine has")
    #expect(bench.figures("venc/0").dropped.deviceError == 0)
    bench.finish()
  }

  @Test func whenEveryWorkerHangsAnotherIsMadeAndTheRestGoesOn() throws {
    let script = EncoderScript()
    let bench = try Bench(
      encoder: ScriptedEncoderFactory(script: script), options: GraphOptions(workers: 1, starvedAfter: 300_000_000))
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/0").output.frames > 3 })
    script.gate.close()
    #expect(
      eventually { script.gate.held > 0 && bench.figures("vpss/0").dropped.queueFull > 0 }, "the only worker hangs")
    let before = bench.figures("vpss/0").output.frames
    #expect(eventually { bench.figures("vpss/0").output.frames > before + 20 }, "the scaler has a worker again")
    script.gate.open()
    #expect(eventually { bench.graph.health().findings.isEmpty })
    bench.finish()
  }
}
