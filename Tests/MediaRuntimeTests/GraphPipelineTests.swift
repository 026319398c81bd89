// SPDX-License-Identifier: Apache-2.0
import Base
import Foundation
import MediaCore
import Reports
import Synchronization
import TestSupport
import Testing

@testable import MediaRuntime

@Suite(.ownThread) struct GraphPipelineTests {
  @Test func anInputsFirstPictureWaitsForTheReceiversThatAreStartedWithIt() throws {
    var options = GraphOptions(workers: 2)
    options.startPatience = .seconds(600)
    let bench = try Bench(options: options)
    defer { bench.finish() }
    try bench.make("vi/0", ["input": .text("pattern")])
    try bench.make("venc/0", ["codec": .text("h264")])
    bench.bind("venc/0", "vi/0")
    bench.graph.starting(true)
    try bench.start("vi/0")
    #expect(eventually { bench.graph.objectState("vi/0")?.condition != .stopped })
    #expect(bench.figures("vi/0").output.frames == 0)
    try bench.start("venc/0")
    bench.graph.starting(false)
    #expect(eventually { bench.figures("venc/0").output.frames > 3 })
    #expect(bench.figures("venc/0").dropped[.disabled] == 0)
    bench.stop("vi/0")
    #expect(eventually { bench.figures("venc/0").inFlight == 0 })
    #expect(bench.figures("vi/0").output.frames == bench.figures("venc/0").input.frames, "from the first on")
    bench.stop("venc/0")
  }

  @Test func framesReachEveryEncoderAndEveryNodeBalances() throws {
    let bench = try Bench(source: ScriptedSourceFactory(script: .init(limit: 200)))
    try bench.pipeline()
    #expect(eventually { bench.graph.isAtRest() })
    #expect(bench.figures("vi/0").output.frames == 200)
    for name in ["vi/0", "vpss/0", "vpss/0/0", "vpss/0/1", "venc/0", "venc/1"] {
      let figures = bench.figures(name)
      #expect(figures.input.frames > 0, "\(name)")
      #expect(figures.input.frames == figures.output.frames + figures.dropped.total, "\(name)")
    }
    #expect(bench.figures("venc/0").output.frames > 0)
    #expect(bench.figures("venc/1").output.frames > 0)
    // Every buffer came home.
    #expect(eventually { bench.graph.allocations().pools.allSatisfy { $0.free == $0.total } })
    bench.finish()
  }

  @Test func theSameSizeIsPassedOnAndOnlyTheOtherIsScaled() throws {
    let bench = try Bench()
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/1").input.frames >= 40 })
    let states = bench.graph.objectStates()
    let passed = states.first { $0.path == "vpss/0/0" }
    let scaled = states.first { $0.path == "vpss/0/1" }
    #expect(passed?.statistics.bytesCopied == 0)
    #expect((scaled?.statistics.bytesCopied ?? 0) > 0)
    #expect(bench.graph.allocations().pools.count == 2, "the source's pool and the scaled output's")
    bench.finish()
  }

  @Test func framesOfAStoppedReceiverAreDroppedAsDisabled() throws {
    let bench = try Bench()
    try bench.pipeline()
    bench.stop("venc/1")
    let before = bench.figures("venc/1").dropped.disabled
    #expect(eventually { bench.figures("venc/1").dropped.disabled > before + 5 })
    #expect(bench.node("venc/1").input.waiting == 0)
    bench.finish()
  }

  @Test func aStalledEncoderFillsItsQueueAndTheOthersGoOn() throws {
    let script = EncoderScript()
    let bench = try Bench(encoder: ScriptedEncoderFactory(script: script))
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/0").output.frames > 3 })
    script.gate.close()
    #expect(eventually { bench.figures("venc/0").dropped.queueFull > 3 })
    let before = bench.figures("vpss/0").output.frames
    #expect(eventually { bench.figures("vpss/0").output.frames > before + 20 }, "the scaler goes on")
    #expect(eventually { bench.figures("venc/0").inFlight == 5 }, "four wait and one is in the engine")
    script.gate.open()
    let later = bench.figures("venc/0").output.frames
    #expect(eventually { bench.figures("venc/0").output.frames > later + 5 })
    bench.finish()
  }

  @Test func frameControlKeepsTheFirstOfEachGroup() throws {
    let bench = try Bench(source: ScriptedSourceFactory(script: .init(limit: 90)))
    try bench.make("vi/0")
    try bench.make("venc/0", ["codec": .text("h264"), "fps_src": .integer(30), "fps_dst": .integer(10)])
    bench.bind("venc/0", "vi/0")
    try bench.start("venc/0", "vi/0")
    #expect(eventually { bench.graph.isAtRest() })
    let figures = bench.figures("venc/0")
    #expect(figures.input.frames == 90, "every arriving frame is counted")
    #expect(figures.dropped.frameControl == 60)
    #expect(bench.node("venc/0").input.control.prefix(6) == [0, 1, 2, 0, 1, 2])
    #expect(bench.graph.nodeReports().last?.input.frameControl.count == 30)
    bench.finish()
  }

  @Test func aFailingEncoderShowsWhyAndRecovers() throws {
    let script = EncoderScript()
    let bench = try Bench(encoder: ScriptedEncoderFactory(script: script))
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/0").output.frames > 3 })
    script.fails.close()
    #expect(
      eventually {
        if case .failed(let why) = bench.graph.objectState("venc/0")?.condition { return why.contains("encode fake") }
        return false
      })
    #expect(bench.graph.health().verdict == .failed)
    #expect(eventually { bench.figures("venc/0").dropped.deviceError > 0 })
    let before = bench.figures("vpss/0").output.frames
    #expect(eventually { bench.figures("vpss/0").output.frames > before + 20 })
    script.fails.open()
    #expect(eventually { bench.graph.objectState("venc/0")?.condition == .running })
    bench.finish()
  }

  @Test func aFailingScalerShowsWhyAndTheOtherOutputGoesOn() throws {
    let script = ScalerScript()
    let bench = try Bench(scaler: ScriptedScalerFactory(script: script))
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/1").output.frames > 3 })
    script.fails.close()
    #expect(
      eventually {
        if case .failed = bench.graph.objectState("vpss/0/1")?.condition { return true }
        return false
      })
    let before = bench.figures("venc/0").output.frames
    #expect(eventually { bench.figures("venc/0").output.frames > before + 10 })
    script.fails.open()
    #expect(eventually { bench.graph.objectState("vpss/0/1")?.condition == .running })
    #expect(bench.figures("vpss/0/1").dropped.deviceError > 0)
    bench.finish()
  }

  @Test func activeSaysInWhichOrderAPictureIsTurned() throws {
    let bench = try Bench()
    try bench.make("vi/0")
    try bench.make("vpss/0")
    try bench.make("vpss/0/0", ["width": .integer(32), "height": .integer(32), "rotation": .integer(90)])
    bench.bind("vpss/0", "vi/0")
    try bench.start("vi/0", "vpss/0", "vpss/0/0")
    func shown() -> String? { bench.graph.objectState("vpss/0/0")?.active.first { $0.key == "transform" }?.value }
    #expect(eventually { shown() == "90 degrees clockwise" })
    try bench.set("vpss/0/0", ["mirror": .boolean(true)])
    #expect(shown() == "mirror, then 90 degrees clockwise")
    bench.finish()
  }

  @Test func anInputThatEndsIsNoFailureNorAreItsReceivers() throws {
    let bench = try Bench(
      source: ScriptedSourceFactory(script: .init(limit: 20)),
      options: GraphOptions(workers: 2, starvedAfter: 200_000_000))
    try bench.pipeline()
    let objects = ["vi/0", "vpss/0", "vpss/0/0", "vpss/0/1", "venc/0", "venc/1"]
    #expect(eventually { objects.allSatisfy { bench.graph.objectState($0)?.condition == .ended } })
    #expect(eventually { bench.graph.health().findings.isEmpty })
    // Whoever is enabled again begins anew.
    bench.stop("vi/0")
    #expect(bench.graph.objectState("venc/0")?.condition != .ended)
    try bench.start("vi/0")
    #expect(eventually { bench.figures("vi/0").output.frames == 40 })
    bench.finish()
  }

  @Test func aDeviceThatGoesAwayAndComesBackRunsAgain() throws {
    let source = ScriptedSource.Script()
    let bench = try Bench(source: ScriptedSourceFactory(script: source))
    try bench.make("vi/0")
    try bench.start("vi/0")
    #expect(eventually { bench.figures("vi/0").output.frames > 9 })
    source.isAway.close()
    #expect(
      eventually {
        if case .failed = bench.graph.objectState("vi/0")?.condition { return true }
        return false
      })
    source.isAway.open()
    #expect(eventually { bench.graph.objectState("vi/0")?.condition == .running })
    let before = bench.figures("vi/0").output.frames
    #expect(eventually { bench.figures("vi/0").output.frames > before })
    bench.finish()
  }

  @Test func aMissingFileIsRefusedAtStartAndNothingRuns() throws {
    let bench = try Bench()
    try bench.make("vi/0", ["input": .text("file:/missing")])
    #expect(throws: Failure.self) { try bench.start("vi/0") }
    #expect(bench.graph.objectState("vi/0")?.condition == .stopped)
    bench.finish()
  }

  @Test func withoutThrottleNothingIsDropped() throws {
    let bench = try Bench(
      source: ScriptedSourceFactory(script: .init(limit: 2000, isLive: false)),
      options: GraphOptions(workers: 3, isUnthrottled: true))
    try bench.pipeline()
    #expect(eventually { bench.figures("vi/0").output.frames == 2000 })
    #expect(eventually { bench.figures("venc/0").output.frames == 2000 })
    #expect(eventually { bench.figures("venc/1").output.frames == 2000 })
    for name in ["vi/0", "vpss/0", "vpss/0/0", "vpss/0/1", "venc/0", "venc/1"] {
      #expect(bench.figures(name).dropped.total == 0, "\(name): \(bench.figures(name).dropped)")
    }
    bench.finish()
  }

  @Test func withoutThrottleOneWorkerIsEnough() throws {
    let bench = try Bench(
      source: ScriptedSourceFactory(script: .init(limit: 500, isLive: false)),
      options: GraphOptions(workers: 1, isUnthrottled: true))
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/1").output.frames == 500 && bench.figures("venc/0").output.frames == 500 })
    bench.finish()
  }

  @Test func frameTimesOfAPacedSourceFollowItsStamps() throws {
    // 20 frames at 200 frames a second take at least 95 ms; only the lower bound is sure on a busy machine.
    let bench = try Bench(
      source: ScriptedSourceFactory(script: .init(limit: 20, isLive: false, rate: FrameRate(200)!)))
    try bench.make("vi/0")
    let start = Clock.now()
    try bench.start("vi/0")
    #expect(
      eventually { bench.figures("vi/0").output.frames + bench.figures("vi/0").dropped.late == 20 })
    #expect(Clock.now() - start > 90_000_000)
    bench.finish()
  }

  @Test func anotherSourceTakesOverBetweenTwoFramesWithAKeyFrame() throws {
    let bench = try Bench()
    try bench.make("vi/0")
    try bench.make("vi/1")
    try bench.make("venc/0", ["codec": .text("h264"), "gop": .integer(1000)])
    bench.bind("venc/0", "vi/0")
    try bench.start("vi/0", "vi/1", "venc/0")
    #expect(eventually { bench.figures("venc/0").output.frames > 5 })
    bench.bind("venc/0", "vi/1")
    #expect(
      eventually { bench.graph.effectRecords(of: "venc/0").contains { $0.key == "source" && $0.verdict == .effective } }
    )
    let nodes = bench.graph.nodeReports()
    #expect(nodes.first { $0.path == "vi/0" }?.sinks == [])
    #expect(nodes.first { $0.path == "vi/1" }?.sinks.count == 1)
    bench.finish()
  }

  @Test func impossiblePairsAreRefused() throws {
    let bench = try Bench()
    for name in ["vi/0", "vpss/0", "vpss/0/0", "venc/0"] { try bench.make(name) }
    func refused(_ receiver: String, _ source: String) -> Bool {
      do throws(Refusal) {
        try bench.graph.checkBinding(receiver: Bench.path(receiver), source: Bench.path(source))
        return false
      } catch {
        return !error.reason.isEmpty
      }
    }
    #expect(!refused("vpss/0", "vi/0"))
    #expect(!refused("venc/0", "vpss/0/0"))
    #expect(refused("vi/0", "vpss/0/0"))
    #expect(refused("venc/0", "vpss/0"))
    #expect(refused("vpss/0", "venc/0"))
    bench.finish()
  }
}
