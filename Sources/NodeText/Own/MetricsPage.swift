// SPDX-License-Identifier: Apache-2.0

import Reports

/// `metrics`: every count and level as `mpifs_<object>_<quantity>_<unit>[_total]`, with the object's path as the label
/// `object` and, where split, the `cause`. Base units: bytes, seconds, frames. Ends `# EOF`.
///
/// Nothing is listed here: the statistics are those that modules declare, see ``Statistic``.
public enum MetricsPage {
  static let page = Page("metrics", capacity: 32768, inReport: .last, "every count and level, for Prometheus") {
    write($0, to: &$1)
  }

  /// Writes the page.
  public static func write(_ moment: Moment, to out: inout TextWriter) {
    writeHead(moment, to: &out)
    var groups = [program(moment), memory(moment)]
    if let check = moment.lastMemoryCheck, check.failure == nil { groups.append(self.check(check)) }
    groups += moment.health.findings.map { finding in
      let still = moment.health.clocks.monotonicMicroseconds &- finding.sinceMonotonicMicroseconds
      return StatisticGroup(
        "", owner: finding.path,
        [
          Statistic(
            "stalled_us", .gauge, unit: .microseconds, "Time since an object that is not moving last moved.",
            max(0, still))
        ])
    }
    groups += moment.allocations.pools.map(pool)
    groups += moment.objects.map(object)
    groups += moment.statistics
    write(groups, to: &out)
    out.text("# EOF\n")
  }

  /// What has labels of its own.
  private static func writeHead(_ moment: Moment, to out: inout TextWriter) {
    out.text("# HELP mpifs_build_info Version and commit of the program.\n# TYPE mpifs_build_info gauge\n")
    out.text("mpifs_build_info{version=\"")
    out.word(moment.identity.version)
    out.text("\",commit=\"")
    out.word(moment.identity.commit)
    out.text("\"} 1\n# HELP mpifs_health 1 for the verdict that holds.\n# TYPE mpifs_health gauge\n")
    for verdict in HealthVerdict.allCases {
      out.text("mpifs_health{verdict=\"")
      out.string(verdict.rawValue)
      out.text(moment.health.verdict == verdict ? "\"} 1\n" : "\"} 0\n")
    }
  }

  private static func program(_ moment: Moment) -> StatisticGroup {
    let uptime = moment.clocks.monotonicMicroseconds &- moment.startedMonotonicMicroseconds
    return StatisticGroup(
      "",
      [
        Statistic("uptime_us", .gauge, unit: .microseconds, "Time since the program started.", uptime),
        Statistic("stalled_objects", .gauge, "Enabled objects that are not moving.", moment.health.findings.count),
        Statistic(
          "troubled_objects", .gauge, "Objects that move, but lose frames, are too slow or work too long.",
          Set(moment.health.troubles.map(\.path)).count),
      ])
  }

  private static func memory(_ moment: Moment) -> StatisticGroup {
    StatisticGroup(
      "memory",
      [
        Statistic("buffers_bytes", .gauge, unit: .bytes, "Bytes in media buffers.", moment.memory.ownBytes),
        Statistic(
          "system_bytes", .gauge, unit: .bytes,
          "Bytes in all DMA-BUFs of the system, when last looked at, and in media buffers that are none.",
          moment.memory.totalBytes),
        Statistic(
          "peak_bytes", .gauge, unit: .bytes, "Most of that since start or reset.", moment.memory.peakBytes),
        Statistic("buffers", .gauge, "Media buffers.", moment.allocations.buffers.count),
        Statistic(
          "limit_refused", .counter, "Requests that memory_limit did not allow.", moment.memory.refused),
      ]
        + (moment.memory.limitBytes.map {
          [Statistic("limit_bytes", .gauge, unit: .bytes, "Bytes media buffers may reach: memory_limit.", $0)]
        } ?? []))
  }

  private static func check(_ check: MemoryCheckReport) -> StatisticGroup {
    StatisticGroup(
      "memory_check",
      [
        Statistic(
          "buffers_without_descriptor", .gauge, "Buffers that no descriptor of this process is.",
          check.withoutDescriptor.count),
        Statistic(
          "descriptors_without_buffer", .gauge, "DMA-BUF descriptors of this process that are in no pool.",
          check.withoutBuffer.count),
        Statistic(
          "held_elsewhere", .gauge, "Buffers the kernel counts more references of than this process has.",
          check.heldElsewhere.count),
      ])
  }

  private static func pool(_ pool: PoolReport) -> StatisticGroup {
    StatisticGroup(
      "pool", owner: pool.path ?? "pool/\(pool.id)",
      [
        Statistic("buffers", .gauge, "Buffers in the pool.", pool.total),
        Statistic("free_buffers", .gauge, "Free buffers in the pool.", pool.free),
        Statistic(
          "min_free_buffers", .gauge, "Fewest free buffers so far; -1 when a frame was lost for lack of one.",
          pool.minimumFree),
        Statistic("refused_requests", .counter, "Requests that found no free buffer.", pool.refused),
        Statistic("buffer_size_bytes", .gauge, unit: .bytes, "Size of each buffer of the pool.", pool.bufferSize),
      ])
  }

  private static func object(_ object: ObjectState) -> StatisticGroup {
    let isFailed = if case .failed = object.condition { true } else { false }
    return StatisticGroup(
      object.kind, owner: object.path,
      [
        Statistic(
          "running", .gauge, "1 when the object runs, 0 when stopped, starved, ended or failed.",
          object.condition == .running ? 1 : 0),
        Statistic("failed", .gauge, "1 when the object failed.", isFailed ? 1 : 0),
        Statistic("ended", .gauge, "1 when its source has come to its end.", object.condition == .ended ? 1 : 0),
      ] + object.statistics.statistics + object.moreStatistics)
  }

  /// The samples of a family must stand together, so the outer loops go over modules and families.
  private static func write(_ groups: [StatisticGroup], to out: inout TextWriter) {
    var modules: [String] = []
    for group in groups where modules.last != group.module && !modules.contains(group.module) {
      modules.append(group.module)
    }
    for module in modules {
      let members = groups.filter { $0.module == module }
      var families: [(name: StaticString, position: Int)] = []
      for (index, group) in members.enumerated() {
        let all = group.statistics
        for position in all.indices where all[position].places != .onlyStats {
          let name = all[position].family
          // Nearly always at the same place as in the group before, or one more cause of the same.
          if index > 0, isMember(position, of: name, members[index - 1].statistics) { continue }
          if let last = families.last, isSame(last.name, name) { continue }
          if !families.contains(where: { isSame($0.name, name) }) { families.append((name, position)) }
        }
      }
      for family in families { writeFamily(module, family.name, at: family.position, members, to: &out) }
    }
  }

  /// - Parameter position: where its statistics stand in most groups.
  private static func writeFamily(
    _ module: String, _ name: StaticString, at position: Int, _ groups: [StatisticGroup], to out: inout TextWriter
  ) {
    var isBegun = false
    for group in groups {
      let all = group.statistics
      guard
        var index = isMember(position, of: name, all)
          ? position : all.indices.first(where: { isMember($0, of: name, all) })
      else { continue }
      repeat {
        if !isBegun { MetricsText.begin(module, all[index], to: &out) }
        isBegun = true
        MetricsText.sample(module, all[index], owner: group.owner, to: &out)
        index += 1
      } while isMember(index, of: name, all) && all[index].cause != nil
    }
  }

  private static func isMember(_ index: Int, of name: StaticString, _ all: [Statistic]) -> Bool {
    index < all.count && all[index].places != .onlyStats && isSame(all[index].family, name)
  }

  private static func isSame(_ a: StaticString, _ b: StaticString) -> Bool {
    guard a.hasPointerRepresentation, b.hasPointerRepresentation else { return a.description == b.description }
    let count = a.utf8CodeUnitCount
    guard count == b.utf8CodeUnitCount else { return false }
    return a.utf8Start == b.utf8Start
      || UnsafeBufferPointer(start: a.utf8Start, count: count).elementsEqual(
        UnsafeBufferPointer(start: b.utf8Start, count: count))
  }
}
