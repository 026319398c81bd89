// SPDX-License-Identifier: Apache-2.0
public import MediaCore
public import MediaRuntime
public import Reports

/// What the tree reads of the running graph. All of it may be called from any thread, takes no lock the frame path takes
/// and does no I/O.
public protocol LiveReports: Sendable {
  func nodes() -> [NodeReport]
  func allocations() -> (buffers: [BufferReport], pools: [PoolReport])
  func memory() -> MemoryTotals
  /// Sets the peak to 0 until the next buffer is made, as `rk_dmabuf/peak` does.
  func resetMemoryPeak()
  func regions() -> RegionsReport
  func encoders() -> EncodersReport
  /// All objects in the order of the tree.
  func objects() -> [ObjectState]
  func object(_ path: ObjectPath) -> ObjectState?
  func health() -> HealthReport
  /// What the workers of the CPU and of each device did.
  func services() -> [StatisticGroup]
  func effects(of path: ObjectPath) -> [EffectRecord]
  func openStream(_ path: ObjectPath) throws(Refusal) -> StreamReader
  func openFeed(_ path: ObjectPath) throws(Refusal) -> FeedWriter
  /// The controls of the device an input channel runs on; `nil` while it runs on none.
  func controls(of path: ObjectPath) -> (any ControlSurface)?
  /// Calls back when controls came or went, before whoever made them come or go is answered. At most one listener.
  func controlsChanged(_ listener: @escaping @Sendable (ObjectPath) -> Void)
  /// Makes a JPEG of the object's last frame on a worker; `reply` comes from any thread.
  func snapshot(of path: ObjectPath, reply: @escaping @Sendable (Result<[UInt8], Failure>) -> Void)
}
