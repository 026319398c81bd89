// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import MediaRuntime

/// Devices that take a bitrate and miss it.
@Suite(.ownThread) struct GraphSupervisionTests {
  private func bench(percent: Int, isHardware: Bool = true, isDeaf: Bool = false) throws -> (Bench, EncoderScript) {
    let script = EncoderScript()
    script.pictureBytes.store(0, ordering: .relaxed)
    script.percent.store(percent, ordering: .relaxed)
    if isDeaf { script.isDeaf.close() }
    // The stream's second passes in a tenth of one.
    let source = ScriptedSource.Script(isLive: false, rate: FrameRate(100, 1)!, stampRate: FrameRate(100, 1)!)
    let bench = try Bench(
      source: ScriptedSourceFactory(script: source),
      encoder: ScriptedEncoderFactory(
        name: isHardware ? "/dev/video9" : "fake", script: script, isHardware: isHardware))
    try bench.make("vi/0")
    try bench.make("venc/0", ["codec": .text("h264"), "gop": .integer(20), "bitrate": .integer(1000)])
    bench.bind("venc/0", "vi/0")
    try bench.start("vi/0", "venc/0")
    return (bench, script)
  }

  private func told(_ bench: Bench) -> String? {
    (bench.graph.object(Bench.path("venc/0")) as? VencChannel)?.activeFacts().first { $0.key == "device_bitrate" }?
      .value
  }

  @Test func aDeviceThatGivesTooMuchIsAskedForLessAndActiveSaysWhy() throws {
    let (bench, script) = try bench(percent: 250)
    #expect(eventually { (390...410).contains(script.asked.load(ordering: .relaxed)) })
    #expect(
      eventually { told(bench)?.contains("because 1000 kbps are wanted and it gives") ?? false }, "\(told(bench) ?? "")"
    )
    // Another wish is asked for with what was learned, at once.
    try bench.set("venc/0", ["bitrate": .integer(2000)])
    #expect(eventually { (780...820).contains(script.asked.load(ordering: .relaxed)) })
    bench.finish()
  }

  @Test func aDeafDeviceIsAskedForWhatIsWantedAgain() throws {
    let (bench, script) = try bench(percent: 250, isDeaf: true)
    #expect(eventually { told(bench)?.contains("follows no question") ?? false }, "\(told(bench) ?? "")")
    #expect(eventually { script.asked.load(ordering: .relaxed) == 1000 })
    bench.finish()
  }

  @Test func softwareThatHoldsABitrateIsLeftToItself() throws {
    let (bench, script) = try bench(percent: 250, isHardware: false)
    #expect(eventually { bench.figures("venc/0").output.frames > 250 })
    #expect(script.asked.load(ordering: .relaxed) == 0 && told(bench) == nil)
    bench.finish()
  }
}
