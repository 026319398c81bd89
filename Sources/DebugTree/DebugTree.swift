// SPDX-License-Identifier: Apache-2.0
import MediaCore
public import MediaRuntime
public import NodeFS
public import NodeText
public import Reports
import Synchronization
import SystemPackage

/// Which path shows or changes what: the only part that knows both the runtime and the filesystem. It checks nothing
/// itself; what is written goes to ``Runtime/apply(_:reply:)`` as it came.
public final class DebugTree: Sendable {
  public let tree: NodeTree
  let runtime: Runtime
  let graph: MediaGraph
  /// Looks at the memory of the system.
  let memory: SystemMemorySource
  /// What pages render from.
  let moments: Moment.Sources
  /// The files in `controls/` of each channel that has one; the lock keeps those that change them one after the other.
  let controlFiles = Synchronization.Mutex<[ObjectPath: [String: AttributeKind]]>([:])
  /// The directory of each service; the lock keeps those that change them one after the other.
  let serviceDirectories = Synchronization.Mutex<[String: String]>([:])
  /// The nodes of the kernel's areas of contiguous memory; the lock keeps those that change them one after the other.
  let areaNodes = Synchronization.Mutex<Set<String>>([])

  /// As much as the largest bitmap: many that are open at once share it.
  let beingWritten = BlobRoom(bytes: 64 << 20)

  /// Builds the tree and keeps it in step with the runtime's objects from now on.
  ///
  /// - Parameters:
  ///   - started: CLOCK_MONOTONIC at the start of the program.
  ///   - devices: what the machine has; does no device I/O.
  ///   - memory: looks at the DMA-BUFs of the system; nothing is known of them by default.
  /// - Throws: a name was taken, which is a mistake in the list of pages or attributes.
  public init(
    runtime: Runtime, graph: MediaGraph, pages: PageTable, identity: SystemIdentity,
    startedMonotonicMicroseconds started: Int64, devices: @escaping @Sendable () -> DevicesReport = { DevicesReport() },
    memory: SystemMemorySource = SystemMemorySource()
  ) throws(NodeError) {
    self.runtime = runtime
    self.memory = memory
    self.graph = graph
    let errorLog = runtime.errorLog
    let tree = NodeTree(onRefusal: { refusal in
      errorLog.record(
        MediaCore.Refusal(
          refusal.error.errno, path: refusal.path, value: refusal.bytes,
          reason: refusal.error.reason.isEmpty
            ? "\(refusal.operation.rawValue): not possible here" : refusal.error.reason))
    })
    self.tree = tree
    // The nodes are in the tree, so they must not keep it alive.
    var moments = Moment.Sources(
      runtime, graph, pages: pages, identity: identity, activity: { [weak tree] in tree?.activity })
    moments.startedMonotonicMicroseconds = started
    moments.devices = devices
    moments.systemMemory = memory.report
    moments.physicalMemory = memory.layout
    self.moments = moments
    try addPages()
    try addClassDirectories()
    runtime.objectsChanged { [weak self] change in self?.follow(created: change.created, removed: change.removed) }
    graph.controlsChanged { [weak self] path in self?.followControls(of: path) }
    runtime.enginesChanged { [weak graph] in graph?.followDevices() }
    graph.servicesChanged { [weak self] in self?.followServices() }
    graph.followDevices()
    followServices()
    memory.layoutChanged { [weak self] in self?.followAreas() }
    followAreas()
    follow(created: runtime.objects, removed: [])
  }
}
