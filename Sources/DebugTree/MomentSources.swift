// SPDX-License-Identifier: Apache-2.0
import Base
import MediaRuntime
import NodeFS
import NodeText
import Reports

/// Where the parts of a moment come from: the one place where pages meet the runtime.
extension Moment.Sources {
  /// - Parameter activity: what the filesystem counted.
  init(
    _ runtime: Runtime, _ graph: MediaGraph, pages: PageTable, identity: SystemIdentity,
    activity: @escaping @Sendable () -> Activity?
  ) {
    self.init(pages: pages, identity: identity, clocks: { ClockReading.now() }, health: { graph.health() })
    nodes = { graph.nodeReports() }
    allocations = { graph.allocations() }
    memory = { graph.memoryTotals() }
    memoryLimit = { runtime.memoryLimitText }
    memoryCheck = { graph.checkMemory() }
    lastMemoryCheck = { graph.lastMemoryCheck() }
    regions = { graph.regionsReport() }
    encoders = { graph.encodersReport() }
    services = { graph.servicesReport() }
    sessions = { graph.sessionFigures() }
    coding = { graph.codingReport() }
    objects = { graph.objectStates() }
    drops = { graph.dropRecords() }
    log = { runtime.moduleLog.records }
    refusals = { runtime.errorLog.records }
    config = { runtime.configText() }
    attributes = { runtime.help() }
    statistics = {
      [StatisticGroup("filesystem", activity()?.statistics ?? [])] + graph.serviceStatistics() + [
        StatisticGroup("process", ProcessMemory.statistics()),
        StatisticGroup("memory", graph.memoryStatistics()),
        StatisticGroup(
          "",
          [
            Statistic(
              "refusals", .counter, "Refused writes and failures recorded in error_log.", runtime.errorLog.total)
          ]),
      ]
    }
  }
}

extension ProcessMemory {
  /// As far as kernel and C library tell.
  fileprivate static func statistics() -> [Statistic] {
    var all: [Statistic] = []
    if let now = now() {
      all += [
        Statistic("resident_bytes", .gauge, unit: .bytes, "Memory of the process of all kinds.", now.resident),
        Statistic(
          "anonymous_bytes", .gauge, unit: .bytes, "Memory of the process that is no file and not shared.",
          now.resident - min(now.resident, now.shared)),
      ]
    }
    if let used = Heap.used {
      all.append(Statistic("heap_used_bytes", .gauge, unit: .bytes, "Bytes of the heap that are allocated.", used))
    }
    return all
  }
}

extension Activity {
  fileprivate var statistics: [Statistic] {
    requests.sorted { $0.key < $1.key }.map {
      Statistic(
        "requests", .counter, cause: $0.key, "Requests of the kernel to this filesystem, by operation.", $0.value)
    } + [
      Statistic("failed_replies", .counter, "Replies with an error.", failures.values.reduce(0, +)),
      Statistic("parked_requests", .gauge, "Requests waiting for their answer now.", parked),
      Statistic("renders", .counter, "Times a node's text was made.", renders),
      Statistic("read_bytes", .counter, unit: .bytes, "Bytes given to readers.", bytesRead),
      Statistic("written_bytes", .counter, unit: .bytes, "Bytes taken from writers.", bytesWritten),
    ]
  }
}
