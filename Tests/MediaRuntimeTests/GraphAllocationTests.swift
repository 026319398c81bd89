// SPDX-License-Identifier: Apache-2.0
import CAllocationCount
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import MediaRuntime

/// The frame path takes nothing from the heap once it runs. Heap calls are counted for each thread; the engines here
/// make none of their own.
@Suite(.ownThread) struct GraphAllocationTests {
  @Test(arguments: [false, true])
  func aRunningPipelineAllocatesNothingForAFrame(isUnthrottled: Bool) throws {
    let script = EncoderScript()
    let source = ScriptedSource.Script(isLive: !isUnthrottled, intervalMicroseconds: 300)
    // One worker: all of the work is done, and counted, on one thread.
    let bench = try Bench(
      source: ScriptedSourceFactory(script: source), encoder: ScriptedEncoderFactory(script: script),
      options: GraphOptions(workers: 1, isUnthrottled: isUnthrottled))
    try bench.pipeline()
    #expect(eventually { script.heapCalls.count > 1500 && source.heapCalls.count > 700 })
    bench.finish()
    #expect(script.heapCalls.fewest(in: 400..<1400) == 0, "of 250 pictures and the scaling for half of them")
    #expect(source.heapCalls.fewest(in: 200..<600) == 0, "of 100 frames")
  }

  @Test func aReaderOfTheStreamCostsTheWriterNothing() throws {
    let script = EncoderScript()
    let bench = try Bench(
      source: ScriptedSourceFactory(script: .init(intervalMicroseconds: 300)),
      encoder: ScriptedEncoderFactory(script: script), options: GraphOptions(workers: 1))
    try bench.pipeline()
    let reader = try bench.graph.openStream(Bench.path("venc/0"))
    #expect(
      eventually {
        _ = reader.read(max: 4096)
        return script.heapCalls.count > 1500
      })
    reader.close()
    bench.finish()
    #expect(script.heapCalls.fewest(in: 400..<1400) == 0)
  }
}
