// SPDX-License-Identifier: Apache-2.0
public import MediaCore
public import MediaRuntime
public import Reports

extension MediaGraph: LiveReports {
  public func nodes() -> [NodeReport] { nodeReports() }
  public func memory() -> MemoryTotals { memoryTotals() }
  public func encoders() -> EncodersReport { encodersReport() }
  public func objects() -> [ObjectState] { objectStates() }
  public func object(_ path: ObjectPath) -> ObjectState? { objectState(path.description) }
  public func services() -> [StatisticGroup] { serviceStatistics() }
  public func effects(of path: ObjectPath) -> [EffectRecord] { effectRecords(of: path.description) }

  /// There are no regions yet; every node is listed all the same.
  public func regions() -> RegionsReport { RegionsReport() }

  public func snapshot(of path: ObjectPath, reply: @escaping @Sendable (Result<[UInt8], Failure>) -> Void) {
    snapshot(path, reply: reply)
  }
}
