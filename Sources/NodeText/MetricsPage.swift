// SPDX-License-Identifier: Apache-2.0

import Reports

/// `metrics`: every count and level as `mpifs_<object>_<quantity>_<unit>[_total]`, with the object's path as the label
/// `object` and, where split, the `cause`. Base units: bytes, seconds, frames. Ends `# EOF`.
public enum MetricsPage {
  /// Writes the page.
  public static func write(_ report: SystemReport, to out: inout TextWriter) {
    writeProgram(report, to: &out)
    writeMemory(report, to: &out)
    // The samples of a family must stand together, so the outer loops go over kinds of object and families.
    var kinds: [String] = []
    for object in report.objects where !kinds.contains(object.kind) { kinds.append(object.kind) }
    for kind in kinds { writeObjects(kind, report.objects, to: &out) }
    writeEncoders(report.encoders.channels, to: &out)
    for family in report.metrics { writeFamily(family, to: &out) }
    out.text("# EOF\n")
  }

  // MARK: The whole program

  private static func writeProgram(_ report: SystemReport, to out: inout TextWriter) {
    out.text("# HELP mpifs_build_info Version and commit of the program.\n# TYPE mpifs_build_info gauge\n")
    out.text("mpifs_build_info{version=\"")
    out.word(report.identity.version)
    out.text("\",commit=\"")
    out.word(report.identity.commit)
    out.text("\"} 1\n")
    let uptime = report.clocks.monotonicMicroseconds &- report.startedMonotonicMicroseconds
    single(.gauge, "uptime_seconds", "seconds", "Time since the program started.", Double(uptime) / 1e6, to: &out)
    out.text("# HELP mpifs_health 1 for the verdict that holds.\n# TYPE mpifs_health gauge\n")
    for verdict in HealthVerdict.allCases {
      out.text("mpifs_health{verdict=\"")
      out.string(verdict.rawValue)
      out.text(report.health.verdict == verdict ? "\"} 1\n" : "\"} 0\n")
    }
    single(
      .gauge, "stalled_objects", nil, "Enabled objects that are not moving.", Double(report.health.findings.count),
      to: &out)
    guard !report.health.findings.isEmpty else { return }
    MetricsText.begin(
      .gauge, "", "stalled_seconds", unit: "seconds", help: "Time since an object that is not moving last moved.",
      to: &out)
    for finding in report.health.findings {
      let still = report.health.clocks.monotonicMicroseconds &- finding.sinceMonotonicMicroseconds
      MetricsText.sample(.gauge, "", "stalled_seconds", object: finding.path, to: &out)
      MetricsText.value(Double(max(0, still)) / 1e6, to: &out)
      out.newline()
    }
  }

  private static func single(
    _ kind: MetricKind, _ name: String, _ unit: String?, _ help: String, _ value: Double, to out: inout TextWriter
  ) {
    MetricsText.begin(kind, "", name, unit: unit, help: help, to: &out)
    MetricsText.sample(kind, "", name, object: nil, to: &out)
    MetricsText.value(value, to: &out)
    out.newline()
  }

  private static func writeMemory(_ report: SystemReport, to out: inout TextWriter) {
    single(
      .gauge, "memory_buffers_bytes", "bytes", "Bytes in media buffers.", Double(report.memory.totalBytes), to: &out)
    single(
      .gauge, "memory_peak_bytes", "bytes", "Most bytes in media buffers since start or reset.",
      Double(report.memory.peakBytes), to: &out)
    single(.gauge, "memory_buffers", nil, "Media buffers.", Double(report.buffers.count), to: &out)
    let families: [(String, String?, String, (PoolReport) -> Int)] = [
      ("buffers", nil, "Buffers in the pool.", { $0.total }),
      ("free_buffers", nil, "Free buffers in the pool.", { $0.free }),
      (
        "min_free_buffers", nil, "Fewest free buffers so far; -1 when a frame was lost for lack of one.",
        { $0.minimumFree }
      ),
      ("buffer_size_bytes", "bytes", "Size of each buffer of the pool.", { Int(clamping: $0.bufferSize) }),
    ]
    guard !report.pools.isEmpty else { return }
    for (name, unit, help, read) in families {
      MetricsText.begin(.gauge, "pool", name, unit: unit, help: help, to: &out)
      for pool in report.pools {
        MetricsText.sample(.gauge, "pool", name, object: pool.path ?? "pool/\(pool.id)", to: &out)
        out.number(read(pool))
        out.newline()
      }
    }
  }

  // MARK: Objects

  private struct ObjectFamily {
    var kind: MetricKind
    var name: String
    var unit: String?
    var help: String
    var read: @Sendable (ObjectState) -> Double?
  }

  private static let objectFamilies: [ObjectFamily] = [
    ObjectFamily(kind: .gauge, name: "running", help: "1 when the object runs, 0 when stopped, starved or failed.") {
      $0.condition == .running ? 1 : 0
    },
    ObjectFamily(kind: .gauge, name: "failed", help: "1 when the object failed.") {
      if case .failed = $0.condition { 1 } else { 0 }
    },
    ObjectFamily(kind: .counter, name: "input_frames", help: "Frames that arrived, dropped ones included.") {
      Double($0.statistics.framesIn)
    },
    ObjectFamily(kind: .counter, name: "output_frames", help: "Frames that left.") { Double($0.statistics.framesOut) },
    ObjectFamily(kind: .gauge, name: "in_flight_frames", unit: "frames", help: "Frames waiting or being worked on.") {
      Double($0.statistics.inFlight)
    },
    ObjectFamily(kind: .gauge, name: "queue_frames", unit: "frames", help: "Frames in the input queue.") {
      Double($0.statistics.queueDepth)
    },
    ObjectFamily(
      kind: .gauge, name: "queue_capacity_frames", unit: "frames", help: "Frames the input queue can hold."
    ) { Double($0.statistics.queueCapacity) },
    ObjectFamily(kind: .counter, name: "work_seconds", help: "Time of all frames' work.") {
      Double($0.statistics.workMicroseconds) / 1e6
    },
    ObjectFamily(kind: .gauge, name: "last_work_seconds", unit: "seconds", help: "Time of the last frame's work.") {
      Double($0.statistics.lastMicroseconds) / 1e6
    },
    ObjectFamily(kind: .gauge, name: "max_work_seconds", unit: "seconds", help: "Longest time of a frame's work.") {
      Double($0.statistics.maximumMicroseconds) / 1e6
    },
    ObjectFamily(kind: .counter, name: "output_bytes", help: "Coded bytes that left.") {
      $0.statistics.bytesOut.map { Double($0) }
    },
    ObjectFamily(kind: .counter, name: "copied_bytes", help: "Picture bytes copied by the CPU.") {
      Double($0.statistics.bytesCopied)
    },
    ObjectFamily(
      kind: .gauge, name: "generation", help: "Counts all objects made; tells a new one from its predecessor."
    ) {
      Double($0.statistics.generation)
    },
  ]

  private static func writeObjects(_ kind: String, _ objects: [ObjectState], to out: inout TextWriter) {
    for family in objectFamilies {
      var begun = false
      for object in objects where object.kind == kind {
        guard let value = family.read(object) else { continue }
        if !begun { MetricsText.begin(family.kind, kind, family.name, unit: family.unit, help: family.help, to: &out) }
        begun = true
        MetricsText.sample(family.kind, kind, family.name, object: object.path, to: &out)
        MetricsText.value(value, to: &out)
        out.newline()
      }
    }
    MetricsText.begin(.counter, kind, "dropped_frames", unit: nil, help: "Frames dropped, by cause.", to: &out)
    for object in objects where object.kind == kind {
      for cause in DropCause.allCases {
        MetricsText.sample(
          .counter, kind, "dropped_frames", object: object.path, cause: cause.rawValue, to: &out)
        out.number(object.statistics.dropped[cause])
        out.newline()
      }
    }
  }

  // MARK: Encoders

  private struct EncoderFamily {
    var name: String
    var unit: String?
    var help: String
    var read: @Sendable (EncoderReport) -> Double?
  }

  private static let encoderFamilies: [EncoderFamily] = [
    EncoderFamily(name: "current_bytes_per_second", help: "Coded rate over the last second.") {
      $0.rateControl.run.currentBitsPerSecond.map { Double($0) / 8 }
    },
    EncoderFamily(name: "target_bytes_per_second", help: "Coded rate aimed at.") {
      $0.rateControl.run.targetBitsPerSecond.map { Double($0) / 8 }
    },
    EncoderFamily(name: "frames_per_second", help: "Coded frames over the last second.") {
      $0.attributes.measuredFrameRate
    },
    EncoderFamily(name: "start_qp", help: "QP of the last frame.") { $0.rateControl.run.startQP.map { Double($0) } },
    EncoderFamily(name: "ring_used_bytes", unit: "bytes", help: "Bytes in the ring.") {
      $0.ring.map { Double($0.used) }
    },
    EncoderFamily(name: "ring_peak_bytes", unit: "bytes", help: "Most bytes ever in the ring.") {
      $0.ring.map { Double($0.highWater) }
    },
    EncoderFamily(name: "ring_capacity_bytes", unit: "bytes", help: "Size of the ring.") {
      $0.ring.map { Double($0.capacity) }
    },
    EncoderFamily(name: "waiting_packets", help: "Coded pictures waiting for a reader.") {
      Double($0.status.packetsQueued)
    },
  ]

  private static func writeEncoders(_ channels: [EncoderReport], to out: inout TextWriter) {
    for family in encoderFamilies {
      var begun = false
      for channel in channels {
        guard let value = family.read(channel) else { continue }
        if !begun { MetricsText.begin(.gauge, "venc", family.name, unit: family.unit, help: family.help, to: &out) }
        begun = true
        let path = channel.path.isEmpty ? "venc/\(channel.channel)" : channel.path
        MetricsText.sample(.gauge, "venc", family.name, object: path, to: &out)
        MetricsText.value(value, to: &out)
        out.newline()
      }
    }
  }

  // MARK: Others

  private static func writeFamily(_ family: MetricFamily, to out: inout TextWriter) {
    guard !family.samples.isEmpty else { return }
    MetricsText.begin(family.kind, "", family.name, unit: family.unit, help: family.help, to: &out)
    for sample in family.samples {
      MetricsText.sample(family.kind, "", family.name, object: sample.object, cause: sample.cause, to: &out)
      MetricsText.value(sample.value, to: &out)
      out.newline()
    }
  }
}
