// SPDX-License-Identifier: Apache-2.0
import MediaCore
import MediaRuntime
import NodeFS
import NodeText
import Reports

/// The nodes about the whole that no vendor has.
extension DebugTree {
  /// Longest configuration that is taken, in one write.
  static let configLimit = 128 << 10

  func addOwnNodes() throws(NodeError) {
    let (runtime, reports, dialect) = (runtime, reports, dialect)
    let root = tree.root
    try root.add(
      "config",
      Node.setting(
        limit: Self.configLimit, wholeWrites: true,
        render: { $0.append(contentsOf: runtime.configText()) },
        write: { request in runtime.loadConfig(request.bytes) { request.reply.answer($0) } }))
    try root.add(
      "error_log",
      Node.setting(
        render: rendering { ErrorLogPage.write(runtime.errorLog.records, to: &$0) },
        write: { request in
          runtime.errorLog.clear()
          request.reply.succeed()
        }))
    try root.add("help", page(capacity: 16384) { HelpPage.write(runtime.help(), to: &$0) })
    try root.add("health", page(capacity: 512) { HealthPage.write(reports.health(), to: &$0) })
    let devices = devices
    try root.add(
      "devices", page(capacity: 8192) { DevicesPage.write(devices(), objects: reports.objects(), to: &$0) })
    let system = systemReport
    try root.add("metrics", page(capacity: 32768) { MetricsPage.write(system(), to: &$0) })
    try root.add(
      "report",
      page(capacity: 65536) {
        let config = TextSection(path: "config", text: runtime.configText())
        let report = system()
        let found = TextSection(
          path: "devices", text: renderText { DevicesPage.write(devices(), objects: report.objects, to: &$0) })
        let help = TextSection(path: "help", text: renderText { HelpPage.write(runtime.help(), to: &$0) })
        var controls: [TextSection] = []
        for path in report.objects.compactMap({ ObjectPath($0.path) }) {
          guard let surface = reports.controls(of: path) else { continue }
          controls.append(
            TextSection(
              path: "\(path)/controls/help",
              text: renderText { HelpPage.write(DebugTree.controlHelp(surface), to: &$0) }))
          controls.append(
            TextSection(
              path: "\(path)/controls/*", text: renderText { DebugTree.controlValues(surface, to: &$0) }))
        }
        ReportPage.write(report, more: [config, found] + controls + [help], dialect: dialect, to: &$0)
      })
  }

  /// Everything of one moment. A closure of its own parts, so that nodes do not keep the tree they are in alive.
  private var systemReport: @Sendable () -> SystemReport {
    let (runtime, reports, identity, started) = (runtime, reports, identity, started)
    let filesystem: @Sendable () -> [Statistic] = { [weak tree] in
      tree.map { filesystemStatistics($0.activity) } ?? []
    }
    return {
      let objects = reports.objects()
      let (buffers, pools) = reports.allocations()
      return SystemReport(
        identity: identity, clocks: ClockReading.now(), startedMonotonicMicroseconds: started,
        nodes: reports.nodes(), buffers: buffers, pools: pools, memory: reports.memory(),
        regions: reports.regions(), encoders: reports.encoders(), objects: objects, health: reports.health(),
        log: runtime.moduleLog.records, refusals: runtime.errorLog.records,
        effects: objects.compactMap { ObjectPath($0.path) }.flatMap { reports.effects(of: $0) },
        metrics: [StatisticGroup("filesystem", filesystem())] + reports.services() + [
          StatisticGroup(
            "",
            [
              Statistic(
                "refusals", .counter, "Refused writes and failures recorded in error_log.", runtime.errorLog.total)
            ])
        ])
    }
  }
}

/// What NodeFS counts, for `metrics`.
private func filesystemStatistics(_ activity: Activity) -> [Statistic] {
  activity.requests.sorted { $0.key < $1.key }.map {
    Statistic(
      "requests", .counter, cause: $0.key, "Requests of the kernel to this filesystem, by operation.", $0.value)
  } + [
    Statistic("failed_replies", .counter, "Replies with an error.", activity.failures.values.reduce(0, +)),
    Statistic("parked_requests", .gauge, "Requests waiting for their answer now.", activity.parked),
    Statistic("renders", .counter, "Times a node's text was made.", activity.renders),
    Statistic("read_bytes", .counter, unit: .bytes, "Bytes given to readers.", activity.bytesRead),
    Statistic("written_bytes", .counter, unit: .bytes, "Bytes taken from writers.", activity.bytesWritten),
  ]
}
