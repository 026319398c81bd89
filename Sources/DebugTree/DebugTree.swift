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
  let reports: any LiveReports
  let identity: SystemIdentity
  let dialect: Dialect
  /// CLOCK_MONOTONIC at the start of the program, microseconds.
  let started: Int64
  /// What the machine has; does no device I/O.
  let devices: @Sendable () -> DevicesReport
  /// The files in `controls/` of each channel that has one; the lock keeps those that change them one after the other.
  let controlFiles = Mutex<[ObjectPath: [String: ControlShape]]>([:])

  /// Builds the tree and keeps it in step with the runtime's objects from now on.
  ///
  /// - Throws: a name was taken, which is a mistake in this target's tables.
  public init(
    runtime: Runtime, reports: any LiveReports, identity: SystemIdentity, dialect: Dialect,
    startedMonotonicMicroseconds: Int64, devices: @escaping @Sendable () -> DevicesReport = { DevicesReport() }
  ) throws(NodeError) {
    self.devices = devices
    self.runtime = runtime
    self.reports = reports
    self.identity = identity
    self.dialect = dialect
    self.started = startedMonotonicMicroseconds
    let errorLog = runtime.errorLog
    self.tree = NodeTree(onRefusal: { refusal in
      // What `grep -r` and friends do to command nodes and what editors try is no writer's mistake.
      guard refusal.operation != .openForReading else { return }
      errorLog.record(
        MediaCore.Refusal(
          refusal.error.errno, path: refusal.path, value: refusal.bytes,
          reason: refusal.error.reason.isEmpty
            ? "\(refusal.operation.rawValue): not possible here" : refusal.error.reason))
    })
    try addVendorNodes()
    try addOwnNodes()
    try addClassDirectories()
    runtime.objectsChanged { [weak self] change in self?.follow(created: change.created, removed: change.removed) }
    reports.controlsChanged { [weak self] path in self?.followControls(of: path) }
    follow(created: runtime.objects, removed: [])
  }
}
