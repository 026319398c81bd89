// SPDX-License-Identifier: Apache-2.0

import Reports
import Synchronization
import TestSupport
import Testing

@testable import NodeText

@Suite("Pages of our own", .ownThread)
struct OwnPagesTests {
  // MARK: health

  @Test func aHealthySystemIsOneWord() {
    let report = HealthReport(verdict: .ok, clocks: Sample.clocks)
    #expect(rendered { HealthPage.write(report, to: &$0) } == "ok\n")
  }

  @Test func healthNamesCulpritAndQueue() {
    #expect(
      rendered { HealthPage.write(Sample.health, to: &$0) } == """
        degraded
        venc/0: starved, still for 3.200000 s since 12.345678, waits for vpss/0/0, queue venc/0 input empty (0 of 4)

        """)
    let failed = HealthReport(
      verdict: .failed, clocks: Sample.clocks,
      findings: [
        HealthFinding(
          path: "vi/0", condition: .failed(why: "device\ngone"), sinceMonotonicMicroseconds: 15_545_678)
      ])
    #expect(
      rendered { HealthPage.write(failed, to: &$0) }
        == "failed\nvi/0: failed: device\\ngone, still for 0.000000 s since 15.545678\n")
  }

  @Test func healthNamesWhatMovesAndNotAsItShould() {
    let report = HealthReport(
      verdict: .degraded, clocks: Sample.clocks,
      troubles: [
        HealthTrouble(path: "vi/0", kind: .isSlow(reached: 15.06, asked: 29.97)),
        HealthTrouble(
          path: "vpss/0",
          kind: .loses(DropCounts(queueFull: 180, late: 8), seconds: 10)),
        HealthTrouble(path: "venc/0", kind: .loses(DropCounts(noBuffer: 1), seconds: 10)),
        HealthTrouble(path: "venc/0", kind: .isOverworked(workMicroseconds: 52_100, intervalMicroseconds: 33_333)),
      ])
    #expect(
      rendered { HealthPage.write(report, to: &$0) } == """
        degraded
        vi/0: gives 15.1 of 29.97 frames/s
        vpss/0: lost 188 frames in the last 10 s (queue_full 180, late 8)
        venc/0: lost 1 frame in the last 10 s (no_buffer 1)
        venc/0: works 0.052100 s on a frame, and one comes every 0.033333 s

        """)
    let ended = ObjectState(
      path: "vi/0", kind: "vi", condition: .ended, statistics: ObjectStatistics(createdMicroseconds: 0, generation: 1))
    #expect(rendered { StatePage.write(ended.condition, to: &$0) } == "ended\n")
  }

  // MARK: error_log

  private func errors(_ record: RefusalRecord) -> String { rendered { ErrorLogPage.write([record], to: &$0) } }

  @Test func aRefusalSaysWhenWhatWhyAndWhatWouldBeRight() {
    let record = Sample.refusals[0]
    #expect(
      errors(record)
        == "[15.545678 2026-11-21T03:31:03.123456Z] venc/0/bitrate \"9999999\\n\" ERANGE(34): above 200000 kbps; "
        + "2..200000 kbps\n")
  }

  @Test func aFailureNobodyWaitedForHasNoNumber() {
    let record = RefusalRecord(clocks: Sample.clocks, path: "vi/0", errno: 0, reason: "input ended")
    #expect(errors(record) == "[15.545678 2026-11-21T03:31:03.123456Z] vi/0: input ended\n")
  }

  @Test func hostileBytesStayOnTheirLine() {
    let all = (0...255).map { UInt8($0) }
    let record = RefusalRecord(
      clocks: Sample.clocks, path: "venc/\n\u{1B}]0;x\u{7}", value: all, errno: 22, errnoName: "EINVAL",
      reason: "not\na number", hint: "a\u{1B}[2Jb")
    let text = errors(record)
    #expect(lines(text).count == 1)
    #expect(text.utf8.dropLast().allSatisfy { $0 >= 0x20 && $0 < 0x7F })
  }

  @Test func aPathThatIsNoneOfTheTreesStandsInQuotes() {
    func path(_ path: String, others: Int = 0) -> String {
      let record = RefusalRecord(
        clocks: Sample.clocks, path: path, others: others, errno: 1, errnoName: "EPERM", reason: "r")
      return String(errors(record).split(separator: "]", maxSplits: 1)[1])
    }
    #expect(path("venc/0/bitrate") == " venc/0/bitrate EPERM(1): r\n")
    #expect(path("venc/0/bitrate", others: 24) == " venc/0/bitrate and 24 more EPERM(1): r\n")
    #expect(path("a b\n\"c\\é") == #" "a b\n\"c\\\xc3\xa9" EPERM(1): r"# + "\n")
  }

  @Test func aLongValueIsCutAndItsLengthTold() {
    let cut = RefusalRecord(
      clocks: Sample.clocks, path: "p", value: Array(repeating: 0x61, count: 300), valueLength: 65536, errno: 7,
      errnoName: "E2BIG", reason: "too long")
    let shown = String(repeating: "a", count: ErrorLogPage.shownBytes)
    #expect(errors(cut).contains(" \"\(shown)\"... (65536 bytes) E2BIG(7): too long\n"))
  }

  // MARK: effect

  @Test func effectsTellOldNewAndWhatWasMeasured() {
    #expect(
      rendered { EffectPage.write(Sample.effects, to: &$0) } == """
        bitrate: effective old=2000 new=4000 frame=812 measured=3960 kbps
        gop: pending old=30 new=60 frame=9

        """)
  }

  // MARK: objects

  @Test func statesAreOneLine() {
    let text: (ObjectCondition) -> String = { condition in rendered { StatePage.write(condition, to: &$0) } }
    #expect(text(.stopped) == "stopped\n")
    #expect(text(.running) == "running\n")
    #expect(text(.starved) == "starved\n")
    #expect(text(.waiting(for: "/dev/video9")) == "waiting for /dev/video9\n")
    #expect(text(.failed(why: "a\nb")) == "failed: a\\nb\n")
  }

  @Test func statisticsAreKeysAndValuesAndAddUp() throws {
    let state = Sample.state(
      "venc/0", bytesOut: 5,
      dropped: DropCounts(
        frameControl: 1, queueFull: 2, noBuffer: 3, deviceError: 4, late: 5, rateControl: 6, formatMismatch: 7,
        disabled: 8, flushed: 9),
      more: [
        Statistic("readers_lost", .counter, "Readers lost.", 12),
        Statistic("rate", .gauge, in: .onlyMetrics, "A rate.", 1.5),
      ])
    let all = lines(rendered { StatsPage.write(state, to: &$0) })
    var values: [String: String] = [:]
    for line in all {
      let colon = try #require(line.firstRange(of: ": "))
      values[String(line[..<colon.lowerBound])] = String(line[colon.upperBound...])
    }
    #expect(values.count == all.count)
    let number: (String) -> Int = { Int(values[$0] ?? "") ?? Int.min }
    #expect(number("frames_in") == number("frames_out") + number("dropped") + number("in_flight"))
    let causes = values.keys.filter { $0.hasPrefix("dropped_") }
    #expect(causes.count == DropCause.allCases.count)
    #expect(causes.reduce(0) { $0 + number($1) } == number("dropped"))
    #expect(number("dropped_rate_control") == 6)
    #expect(number("created_us") == 1_000_000 && number("generation") == 1 && number("time_max_us") == 2500)
    #expect(values["readers_lost"] == "12")
    #expect(values["rate"] == nil && values["time_total_us"] == nil, "what stands in metrics only")
    #expect(all.allSatisfy { !$0.hasPrefix("bytes_out") || $0 == "bytes_out: 5" })
  }

  @Test func activeIsKeysAndValues() {
    let facts = [KeyValue(key: "backend", value: "openh264"), KeyValue(key: "why", value: "x\u{1B}")]
    #expect(rendered { ActivePage.write(facts, to: &$0) } == "backend: openh264\nwhy: x\\x1b\n")
  }

  // MARK: help

  @Test func helpStandsInColumns() {
    let help = [
      SettingHelp(
        path: "venc/N/bitrate", kind: .setting, type: "integer", range: "2..200000", unit: "kbps",
        defaultValue: "2000", isLive: true, note: "rate"),
      SettingHelp(path: "venc/N/idr", kind: .command, type: "", defaultValue: ""),
    ]
    #expect(
      rendered { HelpPage.write(help, to: &$0) } == """
        # path          kind     type     range      unit  default  change  note
        venc/N/bitrate  setting  integer  2..200000  kbps  2000     live    rate
        venc/N/idr      command  -        -          -     -        -

        """)
  }

  @Test func helpHasALineForEachPage() {
    let rows = lines(rendered { HelpPage.page.render(Sample.moment(.rockit1432), &$0) }).dropFirst()
    let table = PageTable(.rockit1432)
    let ofServices = table.servicePages.map { "mpp_service/SERVICE/\($0.name)" }
    #expect(rows.map { String($0.prefix { $0 != " " }) } == table.pages.map { $0.paths[0] } + ofServices)
    #expect(table.pages.allSatisfy { !$0.summary.isEmpty } && table.servicePages.allSatisfy { !$0.summary.isEmpty })
  }

  @Test func helpTellsAPagesValueFromWhatIsDoneOnce() {
    let rows = lines(rendered { HelpPage.page.render(Sample.moment(.rockit1432), &$0) }).map {
      $0.split(separator: #/ {2,}/#).map(String.init)
    }
    func row(_ path: String) -> [String]? { rows.first { $0[0] == path }.map { Array($0[1..<7]) } }
    #expect(
      row("memory_limit") == ["setting", "integer", "1048576..1125899906842624 or auto", "-", "auto", "live"])
    #expect(row("mpp_service/load_interval") == ["setting", "u32", "0..4294967295", "-", "0", "live"])
    #expect(row("mpp_service/SERVICE/timing_check") == ["setting", "u32", "0..4294967295", "-", "0", "live"])
    #expect(row("rk_dmabuf/peak")?.first == "command")
    #expect(row("valloc") == ["info", "-", "-", "-", "-", "-"])
  }

  // MARK: moments

  @Test func aMomentGathersOnlyWhatIsAskedForAndOnce() {
    let asked = Mutex<[String]>([])
    var sources = Sample.sources(.rockit1432)
    sources.nodes = {
      asked.withLock { $0.append("nodes") }
      return Sample.nodes
    }
    sources.objects = {
      asked.withLock { $0.append("objects") }
      return []
    }
    sources.encoders = {
      asked.withLock { $0.append("encoders") }
      return EncodersReport()
    }
    _ = rendered { VSysPage.page(.rockit1432).render(Moment(sources), &$0) }
    #expect(asked.withLock { $0 } == ["nodes"])
    let moment = Moment(sources)
    _ = rendered { ReportPage.write(moment, to: &$0) }
    #expect(asked.withLock { $0 }.sorted() == ["encoders", "nodes", "nodes", "objects"])
  }

  @Test func oneWordOfAnObjectCostsOneWord() {
    let state = ObjectState(
      path: "venc/0", kind: "venc", condition: .running,
      active: {
        Issue.record("built the facts")
        return []
      }(),
      statistics: {
        Issue.record("built the statistics")
        return ObjectStatistics(createdMicroseconds: 0, generation: 0)
      }())
    #expect(rendered { StatePage.page.render(state, &$0) } == "running\n")
  }

  @Test func streamInfoNamesEveryFormAndSaysWhyOneIsNotThere() {
    let forms = [
      StreamReport(name: "venc/0/stream", summary: "the coded stream as it is"),
      StreamReport(name: "venc/0/stream.ts", summary: "MPEG transport stream"),
      StreamReport(name: "venc/0/stream.mp4", summary: "MP4", obstacle: "this build has no FFmpeg"),
    ]
    #expect(
      rendered { StreamPage.write(forms, to: &$0) } == """
        path: venc/0/stream
        use: cat venc/0/stream > file; it begins at a key frame, waits for more, and is not listed so that walks over the \
        tree end
        venc/0/stream.ts: MPEG transport stream
        venc/0/stream.mp4: refused: this build has no FFmpeg

        """)
    #expect(rendered { StreamPage.write([], to: &$0) } == "")
  }

  // MARK: report

  @Test(arguments: Dialect.allCases)
  func theReportHoldsEveryNodeUnderItsName(_ dialect: Dialect) throws {
    let moment = Sample.moment(dialect)
    let text = rendered { ReportPage.write(moment, to: &$0) }
    let all = lines(text)
    let head = all.prefix { !$0.isEmpty }
    #expect(
      head.map { String($0.prefix { $0 != ":" }) }
        == ["program", "commit", "built", "dialect", "kernel", "pid", "clock_monotonic", "clock_realtime", "uptime"])
    #expect(head.contains("clock_monotonic: 15.545678 s"))
    #expect(head.contains("clock_realtime: 2026-11-21T03:31:03.123456Z"))
    let sections = all.filter { $0.hasPrefix("==> ") }.map { String($0.dropFirst(4).dropLast(4)) }
    // Each page once, but itself; what to read first stands first.
    let pages = moment.pages.pages.filter { !$0.isPrivate }.map { $0.paths[0] }
    #expect(Set(sections.filter { pages.contains($0) }) == Set(pages).subtracting(["report"]))
    #expect(Array(sections.prefix(3)) == ["health", "error_log", "vsys"])
    #expect(sections.last == "metrics")
    for object in moment.objects {
      for node in ["state", "active", "stats"] { #expect(sections.contains("\(object.path)/\(node)")) }
    }
    for service in ["cpu", "video11"] {
      for page in moment.pages.servicePages { #expect(sections.contains("mpp_service/\(service)/\(page.name)")) }
    }
    #expect(sections.contains("venc/0/effect") && !sections.contains("vi/0/effect"))
    #expect(Set(sections).count == sections.count)
    #expect(text.contains("==> config <==\na = b\n\n==> "), "a text without a final line feed gets one")
    let sys = rendered {
      VSysPage.write(nodes: moment.nodes, identity: moment.identity, dialect: dialect, to: &$0)
    }
    #expect(text.contains("==> vsys <==\n" + sys), "as the node itself")
    #expect(text.hasSuffix("# EOF\n"))
  }
}
