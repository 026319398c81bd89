// SPDX-License-Identifier: Apache-2.0
import Codecs
import DebugTree
import Devices
import MediaCore
import MediaRuntime
import NodeFS
import NodeText
import Reports
import TestSupport
import Testing

/// An encoder that is only looked at.
private struct ShownEncoder: EncoderFactory {
  let name: String
  var codecs: [Codec] { [.h264] }
  var isHardware: Bool { name.hasPrefix("/dev/") }
  var priority: Int { 1 }
  func capabilities(for codec: Codec) -> EncoderCapabilities { [] }
  func profiles(for codec: Codec) -> [String] { [] }
  func settings(for codec: Codec) -> EngineSettings { EngineSettings() }
  func validate(_ configuration: EncoderConfiguration) throws(Failure) {}
  func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
    throw Failure(.notSupported, "open", on: name)
  }
}

/// The directories of the services follow the devices the machine has.
@Suite(.ownThread) struct ServiceDirectoriesTests {
  private static let files = ["task_count", "session_buffers", "disable_work", "timing_check", "sessions-info"]
  private let registry = EngineRegistry(Self.catalogue([]))
  private let graph: MediaGraph
  private let debug: DebugTree

  init() throws {
    graph = try MediaGraph(registry: registry, allocator: AllocatorPolicy().allocator)
    debug = try DebugTree(
      runtime: Runtime(registry: registry, graph: graph, logs: RuntimeLogs()), graph: graph,
      pages: PageTable(.rockit1432),
      identity: SystemIdentity(
        program: "mpifs", version: "0", commit: "0", buildAuthor: "", buildTime: CivilTime(year: 2000, month: 1, day: 1)
      ), startedMonotonicMicroseconds: 0)
  }

  private static func catalogue(_ devices: [String]) -> EngineCatalogue {
    EngineCatalogue(encoders: devices.map(ShownEncoder.init) + [ShownEncoder(name: "software")])
  }

  private var folder: Directory? { debug.tree.root["mpp_service"] as? Directory }

  private var directories: [String] { folder?.names.filter { folder?[$0] is Directory } ?? [] }

  @Test func thereIsADirectoryForTheCPUAndEachDevice() throws {
    #expect(directories == ["cpu"])
    registry.replace(Self.catalogue(["/dev/video11", "/dev/video2"]))
    #expect(directories == ["cpu", "video11", "video2"])
    for name in directories { #expect((folder?[name] as? Directory)?.names == Self.files) }
    let first = try #require(folder?["video2"])
    registry.replace(Self.catalogue(["/dev/video2"]))
    #expect(directories == ["cpu", "video2"])
    #expect(folder?["video2"] === first, "what stays is the same node")
    registry.replace(Self.catalogue([]))
    registry.replace(Self.catalogue(["/dev/video2"]))
    #expect(directories == ["cpu", "video2"])
    #expect(folder?["video2"] !== first, "what has gone is gone for good")
    graph.close()
  }

  @Test func aDeviceCalledLikeAPageLeavesThePageAlone() throws {
    let page = try #require(folder?["load"])
    registry.replace(Self.catalogue(["/dev/load", "/dev/video1"]))
    #expect(directories == ["cpu", "video1"])
    #expect(folder?["load"] === page)
    graph.close()
  }

  @Test func theOnlyServiceOfTheCPUStaysInWork() throws {
    #expect {
      try graph.set(.disabled, of: "cpu", to: 1, path: "mpp_service/cpu/disable_work")
    } throws: {
      ($0 as? MediaCore.Refusal)?.errno == .resourceBusy
    }
    try graph.set(.disabled, of: "cpu", to: 0, path: "mpp_service/cpu/disable_work")
    #expect {
      try graph.set(.disabled, of: "/dev/video77", to: 1, path: "mpp_service/video77/disable_work")
    } throws: {
      ($0 as? MediaCore.Refusal)?.errno == .operationNotSupportedByDevice
    }
    registry.replace(Self.catalogue(["/dev/video1"]))
    try graph.set(.disabled, of: "/dev/video1", to: 4_294_967_295, path: "mpp_service/video1/disable_work")
    #expect(graph.servicesReport().services.map(\.disabled) == [0, 4_294_967_295])
    graph.close()
  }
}
