// SPDX-License-Identifier: Apache-2.0
import Codecs
import DebugTree
import Devices
import MediaCore
import MediaRuntime
import NodeFS
import NodeText
import Reports
import Synchronization
import TestSupport
import Testing

/// The tree without a mount: every attribute of the settings table has a node, and every node is an attribute.
@Suite(.ownThread) struct PathTableTests {
  let runtime: Runtime
  let debug: DebugTree

  init() throws {
    (runtime, debug) = try Self.make()
  }

  /// - Parameter prepare: done with the runtime before there is a tree.
  private static func make(
    memory source: SystemMemorySource = SystemMemorySource(), _ prepare: (Runtime) -> Void = { _ in }
  ) throws -> (Runtime, DebugTree) {
    let memory = AllocatorPolicy()
    let catalogue = EngineCatalogue(
      encoders: SoftwareCodecs.encoderFactories(), scalers: SoftwareCodecs.scalerFactories(),
      sources: SoftwareCodecs.sourceFactories())
    let graph = try MediaGraph(
      engines: EngineCatalogue(
        encoders: catalogue.encoders, scalers: catalogue.scalers, sources: catalogue.sources,
        picture: { () throws(Failure) in try SoftwareCodecs.pictureEncoder() }),
      allocator: memory.allocator)
    let runtime = try Runtime(
      registry: EngineRegistry(catalogue), factory: graph, errorLog: ErrorLog(), moduleLog: ModuleLog())
    prepare(runtime)
    let debug = try DebugTree(
      runtime: runtime, graph: graph, pages: PageTable(.rockit1432),
      identity: SystemIdentity(
        program: "mpifs", version: "0", commit: "0", buildAuthor: "",
        buildTime: CivilTime(year: 2000, month: 1, day: 1),
        kernel: "", processID: 1),
      startedMonotonicMicroseconds: 0, memory: source)
    return (runtime, debug)
  }

  /// Applies changes and waits for the answer.
  private func apply(_ changes: Change...) async -> MediaCore.Refusal? {
    await withCheckedContinuation { done in
      runtime.apply(changes) { done.resume(returning: $0) }
    }
  }

  private func path(_ text: String) throws -> ObjectPath { try #require(ObjectPath(text)) }

  /// The node at a path, and the names in a directory.
  private func node(_ path: String) -> Node? {
    path.split(separator: "/").reduce(debug.tree.root as Node?) { ($0 as? Directory)?[String($1)] }
  }

  private func names(_ path: String) -> [String]? { (node(path) as? Directory)?.names }

  @Test func theTopHasThePagesAndTheClasses() throws {
    let pages = PageTable(.rockit1432).pages
    let tops = pages.flatMap(\.paths).map { String($0.prefix { $0 != "/" }) }
    #expect(Set(debug.tree.root.names) == Set(tops).union(["vi", "vpss", "venc", "vda", "vb"]))
    for page in pages {
      // One node under all its names, so that they read the same.
      let first = try #require(node(page.paths[0]), "\(page.paths[0])")
      for path in page.paths { #expect(node(path) === first, "\(path)") }
    }
  }

  @Test func nothingElseStandsBesideThePages() {
    #expect(
      names("rk_dmabuf") == ["size", "peak", "dev", "sgt", "source", "by_process", "growth", "history", "check"])
    #expect(names("rk_dma_heap") == ["dma_heap_info"])
    #expect(names("vcodec") == ["enc"] && names("vcodec/enc") == ["venc_info"])
    #expect(
      names("mpp_service") == [
        "version", "sessions-summary", "supports-cmd", "supports-device", "load", "load_interval", "timing_en", "cpu",
      ])
  }

  @Test func areasOfContiguousMemoryComeAndGoAsTheKernelHasThem() throws {
    let memory = Synchronization.Mutex(PhysicalMemoryReport())
    let follow = Synchronization.Mutex<@Sendable () -> Void>({})
    var source = SystemMemorySource()
    source.layout = { memory.withLock { $0 } }
    source.layoutChanged = { body in follow.withLock { $0 = body } }
    let (runtime, debug) = try Self.make(memory: source)
    func names(_ path: String) -> [String]? { (debug.tree.root[path] as? Directory)?.names }
    func set(_ areas: [String], _ heaps: [String]) {
      memory.withLock {
        $0.areas = areas.map { ContiguousArea(name: $0) }
        $0.heaps = heaps
      }
      follow.withLock { $0 }()
    }
    #expect(names("rk_cma") == nil && names("rk_dma_heap") == ["dma_heap_info"])
    set(["reserved", "vpu@1"], ["system", "reserved"])
    #expect(names("rk_cma") == ["reserved", "vpu@1"] && names("rk_dma_heap") == ["dma_heap_info", "alloc_bitmap"])
    set(["vpu@1"], ["system"])
    #expect(names("rk_cma") == ["vpu@1"] && names("rk_dma_heap") == ["dma_heap_info"])
    set([], [])
    #expect(names("rk_cma") == nil)
    set(["reserved"], [])
    #expect(names("rk_cma") == ["reserved"])
    #expect(runtime.errorLog.total == 0)
  }

  @Test func onlyKindsThatCanBeMadeHaveADirectory() {
    for kind in ["vi", "vpss", "venc", "vdec", "vo", "vda", "rgn", "vb"] {
      let isMade = runtime.settingsTable.types.contains(ObjectType(kind))
      #expect((names(kind) != nil) == isMade, "\(kind)")
    }
  }

  @Test func everyAttributeHasANodeAndEveryNodeIsAnAttribute() async throws {
    for object in ["vi/0", "vpss/0", "vpss/0/0", "venc/0"] {
      let path = try path(object)
      #expect(node(object) == nil)
      #expect(await apply(.create(path)) == nil)
      let attributes = runtime.settingsTable.attributes(path.type)
      #expect(!attributes.isEmpty)
      #expect(try #require(names(object)) == attributes.map(\.key), "\(object)")
    }
    // The same set is what help lists.
    let help = runtime.help().map(\.path)
    let expected = runtime.settingsTable.types.flatMap { type in
      runtime.settingsTable.attributes(type).map { "\(type.pattern)/\($0.key)" }
    }
    #expect(help == expected)
  }

  @Test func directoriesFollowTheObjects() async throws {
    let venc = try path("venc/3")
    #expect(await apply(.create(venc)) == nil)
    let first = try #require(node("venc/3"))
    #expect(await apply(.remove(venc)) == nil)
    #expect(node("venc/3") == nil)
    #expect(await apply(.create(venc)) == nil)
    #expect(node("venc/3") !== first)
    // Refused changes leave no trace.
    #expect(await apply(.create(try path("venc/4")), .set(venc, "gop", "nonsense")) != nil)
    #expect(node("venc/4") == nil)
    // Objects of a configuration come as one.
    let refusal = await withCheckedContinuation { done in
      runtime.loadConfig(Array("vpss/2/1/width = 320\n".utf8)) { done.resume(returning: $0) }
    }
    #expect(refusal == nil)
    #expect(names("vpss/2")?.contains("1") == true)
    #expect(names("vpss/2/1")?.contains("width") == true)
  }

  @Test func objectsMadeBeforeTheTreeAreInIt() throws {
    let path = try path("vi/5")
    let (_, debug) = try Self.make { runtime in
      // Nothing here touches a device, so the answer has come when this returns.
      runtime.apply([.create(path)]) { #expect($0 == nil) }
    }
    #expect((debug.tree.root["vi"] as? Directory)?.names == ["5"])
  }
}
