// SPDX-License-Identifier: Apache-2.0

import Foundation
import NodeText
import Reports
import TestSupport
import Testing

/// Prints what rendering costs; nothing here fails for being slow. Figures mean something in a release build only:
/// `swift test -c release --filter RenderingCost`.
@Suite("Rendering cost", .ownThread, .serialized)
struct RenderingCost {
  /// The default pipeline: an input, a scaler with two outputs, two H.264 channels and an MJPEG channel.
  private static let nodes: [NodeReport] = (0..<7).map { index in
    NodeReport(
      id: index + 1, name: ["vi", "vpss", "vpss", "vpss", "venc", "venc", "venc"][index],
      path: "venc/0", channel: index, references: 2,
      input: PortReport(
        frames: 1_234_567, dropped: DropCounts(frameControl: 100, queueFull: 3), rate: 30,
        frameControl: index == 6 ? (0..<30).map { UInt8($0) } : [], depth: 4, lastMicroseconds: 640),
      output: PortReport(frames: 1_234_560, rate: 30, depth: 4, lastMicroseconds: 12345),
      flags: [.valid, .streaming, .boundAsSink], sinks: index < 3 ? [index + 2, index + 3] : [])
  }

  private static let encoders = EncodersReport(
    worker: EncoderWorkerReport(lastRunNanoseconds: 50_123_456_789, runs: 3012, triggers: 3020),
    channels: [
      Sample.encoder(channel: 0, codec: .h264, syntax: .h264(Sample.h264)),
      Sample.encoder(channel: 1, codec: .h264, syntax: .h264(Sample.h264)),
      Sample.encoder(channel: 2, codec: .mjpeg, syntax: .jpeg(Sample.jpeg), mode: .fixqp),
    ], packets: PacketPoolReport(unused: 3, used: 1, limit: 512))

  /// Prints the median time of one rendering into a writer that is kept, and the time with a new array each time.
  private func measure(_ name: String, _ body: (inout TextWriter) -> Void) {
    let clock = ContinuousClock()
    func median(_ run: () -> Void) -> Double {
      for _ in 0..<10 { run() }
      var times: [Double] = []
      for _ in 0..<41 {
        let time = clock.measure { for _ in 0..<10 { run() } }
        times.append(Double(time.components.attoseconds) / 1e9 / 10)
      }
      return times.sorted()[20]
    }
    var writer = TextWriter()
    let kept = median {
      writer.removeAll()
      body(&writer)
    }
    let fresh = median { _ = renderText(body) }
    func microseconds(_ nanoseconds: Double) -> String { "\((nanoseconds / 100).rounded() / 10) us" }
    print("rendering \(name): \(microseconds(kept)) kept, \(microseconds(fresh)) fresh, \(writer.count) bytes")
    #expect(writer.count > 0)
  }

  @Test(arguments: Dialect.allCases)
  func vendorNodes(_ dialect: Dialect) {
    let identity = Sample.identity(dialect)
    let buffers = (0..<24).map { index in
      BufferReport(
        id: index, poolID: index / 8, references: 1, kernelReferences: 2, size: 1_382_400, creator: "mpifs",
        users: [BufferUser(node: "vpss", nodeID: 3, slot: 0), BufferUser(node: "venc", nodeID: 5, slot: 1)])
    }
    measure("vsys \(dialect.rawValue)") {
      VSysPage.write(nodes: Self.nodes, identity: identity, dialect: dialect, to: &$0)
    }
    measure("valloc \(dialect.rawValue)") {
      VAllocPage.write(buffers: buffers, pools: Sample.pools, identity: identity, dialect: dialect, to: &$0)
    }
    measure("vrgn \(dialect.rawValue)") {
      VRgnPage.write(regions: Sample.regions, nodes: Self.nodes, identity: identity, to: &$0)
    }
    measure("venc_info \(dialect.rawValue)") { VEncInfoPage.write(Self.encoders, dialect: dialect, to: &$0) }
  }

  @Test func otherPages() {
    let sources = Sample.sources(.rockit1432)
    measure("metrics") { MetricsPage.write(Moment(sources), to: &$0) }
    measure("health") { HealthPage.write(Sample.health, to: &$0) }
    measure("report") { ReportPage.write(Moment(sources), to: &$0) }
  }

  /// A writer that is kept, and large enough, is used again without asking for memory.
  @Test func aKeptWriterKeepsItsMemory() {
    var writer = TextWriter(capacity: 32768)
    let before = writer.withBytes { $0.baseAddress }
    for _ in 0..<100 {
      writer.removeAll()
      VSysPage.write(nodes: Self.nodes, identity: Sample.identity(.rockit1432), dialect: .rockit1432, to: &writer)
      VEncInfoPage.write(Self.encoders, dialect: .rockit1432, to: &writer)
    }
    #expect(writer.withBytes { $0.baseAddress } == before)
  }
}
