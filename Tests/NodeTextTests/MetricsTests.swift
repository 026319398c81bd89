// SPDX-License-Identifier: Apache-2.0

import NodeText
import Reports
import TestSupport
import Testing

@Suite("Metrics are valid in the text format of Prometheus", .ownThread)
struct MetricsTests {
  private static let page = renderText { MetricsPage.write(Sample.moment(.rockit1432), to: &$0) }
  private static var text: String { String(decoding: page, as: UTF8.self) }

  private static let hasPromtool = (try? runProgram("promtool", ["--version"], input: []))?.status == 0

  @Test(.enabled(if: hasPromtool, "promtool is not installed (Debian: prometheus; Tests/run fetches it)"))
  func prometheusOwnCheckerAcceptsThePage() throws {
    let result = try runProgram("promtool", ["check", "metrics"], input: Self.page)
    #expect(result.status == 0 && result.output.isEmpty, "\(result.output)")
  }

  @Test func thePageEndsWithItsMark() {
    #expect(Self.text.hasSuffix("\n# EOF\n"))
    #expect(Self.text.components(of: "# EOF") == 1)
  }

  @Test func samplesOfAFamilyStandTogetherUnderTheirHelp() {
    var seen: Set<String> = []
    var typed: Set<String> = []
    var current = ""
    for line in lines(Self.text) where line != "# EOF" {
      let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
      if words[0] == "#" {
        let name = String(words[2])
        switch words[1] {
        case "HELP":
          #expect(seen.insert(name).inserted, "\(name) begins twice")
          #expect(words.count == 4 && !words[3].isEmpty, "\(name) has no help")
          current = name
        case "TYPE":
          #expect(name == current)
          #expect(words[3] == (name.hasSuffix("_total") ? "counter" : "gauge"), "\(name)")
          typed.insert(name)
        default: Issue.record("\(line)")
        }
      } else {
        let name = line.prefix { $0 != "{" && $0 != " " }
        #expect(name == current)
        #expect(name.hasPrefix("mpifs_"))
        #expect(Double(line.split(separator: " ").last ?? "") != nil, "\(line)")
      }
    }
    #expect(seen.count > 40)
    #expect(seen == typed, "each has a type")
  }

  @Test func countsAreThoseOfTheReports() {
    let all = lines(Self.text)
    for expected in [
      "mpifs_venc_input_frames_total{object=\"venc/0\"} 105", "mpifs_venc_output_bytes_total{object=\"venc/0\"} 123456",
      "mpifs_venc_dropped_frames_total{object=\"venc/0\",cause=\"frame_control\"} 5",
      "mpifs_vi_work_seconds_total{object=\"vi/0\"} 0.09725", "mpifs_venc_running{object=\"venc/1\"} 0",
      "mpifs_venc_failed{object=\"venc/1\"} 1", "mpifs_venc_current_bytes_per_second{object=\"venc/0\"} 501300.5",
      "mpifs_venc_readers{object=\"venc/0\"} 2", "mpifs_venc_reader_lost_groups_total{object=\"venc/0\"} 3",
      "mpifs_venc_capture_to_screen_seconds{object=\"venc/0\"} 0.0415",
      "mpifs_pool_free_buffers{object=\"pool/2\"} 1", "mpifs_memory_buffers_bytes 6233088",
      "mpifs_memory_system_bytes 7233088", "mpifs_memory_peak_bytes 9000000", "mpifs_uptime_seconds 15",
      "mpifs_health{verdict=\"degraded\"} 1", "mpifs_stalled_seconds{object=\"venc/0\"} 3.2",
      "mpifs_filesystem_requests_total{cause=\"read\"} 12",
      "mpifs_filesystem_requests_total{object=\"a\\\"b\\\\c\\nd\",cause=\"open\"} 3.5",
    ] {
      #expect(all.contains { $0 == expected }, "\(expected)")
    }
    #expect(!Self.text.contains("mpifs_vi_output_bytes"), "objects without coded bytes have no such metric")
  }

  @Test func everyObjectHasEveryCauseOfADrop() {
    let rows = lines(Self.text).filter { $0.contains("_dropped_frames_total{") }
    #expect(rows.count == 4 * DropCause.allCases.count)
  }

  @Test func anEmptySystemIsStillAPage() throws {
    let empty = Moment(
      Moment.Sources(
        pages: PageTable(.rockit1432), identity: Sample.identity(.rockit1432), clocks: { Sample.clocks },
        health: { HealthReport(verdict: .ok, clocks: Sample.clocks) }))
    let text = rendered { MetricsPage.write(empty, to: &$0) }
    #expect(text.contains("mpifs_health{verdict=\"ok\"} 1\n"))
    #expect(text.hasSuffix("# EOF\n"))
  }
}

extension String {
  /// How often `part` occurs.
  fileprivate func components(of part: String) -> Int {
    var count = 0
    var rest = self[...]
    while let range = rest.firstRange(of: part) {
      count += 1
      rest = rest[range.upperBound...]
    }
    return count
  }
}
