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
    let filesystem: @Sendable () -> [MetricFamily] = { [weak tree] in tree.map { filesystemMetrics($0.activity) } ?? []
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
        metrics: filesystem() + displayMetrics(objects) + serviceMetrics(reports.services())
          + [
            MetricFamily(
              name: "refusals", kind: .counter, help: "Refused writes and failures recorded in error_log.",
              samples: [MetricSample(value: Double(runtime.errorLog.total))])
          ])
    }
  }
}

/// What displays count beyond what every object does, for `metrics`.
private func displayMetrics(_ objects: [ObjectState]) -> [MetricFamily] {
  let families: [(key: String, help: String)] = [
    ("flips", "Pictures that came onto the screen."),
    ("repeated_vblanks", "Times the screen was drawn again with the picture it had."),
    ("missed_vblanks", "Repeated vblanks at which the next picture was due."),
    ("mode_sets", "Times the mode was set."), ("outages", "Times the screen went away."),
    ("timeouts", "Pictures the device did not confirm within 500 ms."),
  ]
  return families.map { family in
    MetricFamily(
      name: "vo_\(family.key)", kind: .counter, help: family.help,
      samples: objects.compactMap { object in
        guard object.kind == "vo" else { return nil }
        return object.moreStatistics.first { $0.key == family.key }.flatMap { Double($0.value) }
          .map { MetricSample(object: object.path, value: $0) }
      })
  }
}

/// What the workers of the CPU and of each device do, for `metrics`.
private func serviceMetrics(_ services: [ServiceFigures]) -> [MetricFamily] {
  func family(
    _ name: String, _ kind: MetricKind, unit: String? = nil, _ help: String, _ value: (ServiceFigures) -> Double
  ) -> MetricFamily {
    MetricFamily(
      name: "service_\(name)", kind: kind, unit: unit, help: help,
      samples: services.map { MetricSample(object: $0.name, value: value($0)) })
  }
  return [
    family("workers", .gauge, "Threads that do the work: of the CPU, and for each session on a device.") {
      Double($0.workers)
    },
    family("waiting_sessions", .gauge, "Sessions that have work and wait for a worker.") { Double($0.waiting) },
    family("turns", .counter, "Turns given to sessions.") { Double($0.runs) },
    family("busy_seconds", .counter, unit: "seconds", "Time the workers spent at work or waiting for the device.") {
      Double($0.busyNanoseconds) / 1e9
    },
  ]
}

/// What NodeFS counts, for `metrics`.
private func filesystemMetrics(_ activity: Activity) -> [MetricFamily] {
  func single(_ name: String, _ kind: MetricKind, unit: String? = nil, _ help: String, _ value: Double) -> MetricFamily
  {
    MetricFamily(name: name, kind: kind, unit: unit, help: help, samples: [MetricSample(value: value)])
  }
  return [
    MetricFamily(
      name: "filesystem_requests", kind: .counter, help: "Requests of the kernel to this filesystem, by operation.",
      samples: activity.requests.sorted { $0.key < $1.key }.map {
        MetricSample(cause: $0.key, value: Double($0.value))
      }),
    single(
      "filesystem_failed_replies", .counter, "Replies with an error.",
      Double(activity.failures.values.reduce(0, +))),
    single("filesystem_parked_requests", .gauge, "Requests waiting for their answer now.", Double(activity.parked)),
    single("filesystem_renders", .counter, "Times a node's text was made.", Double(activity.renders)),
    single("filesystem_read_bytes", .counter, unit: "bytes", "Bytes given to readers.", Double(activity.bytesRead)),
    single(
      "filesystem_written_bytes", .counter, unit: "bytes", "Bytes taken from writers.", Double(activity.bytesWritten)),
  ]
}
