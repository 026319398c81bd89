// SPDX-License-Identifier: Apache-2.0

import Foundation
import NodeText
import Reports
import TestSupport
import Testing

/// What scripts in the field do: match the title, take rows that begin with a digit, split on blanks.
@Suite("Rows of vsys split on blanks into their columns", .ownThread)
struct ColumnContractTests {
  /// A generator with a seed, so that a failure can be repeated.
  private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      var mixed = state
      mixed ^= mixed >> 33
      mixed &*= 0xff51_afd7_ed55_8ccd
      mixed ^= mixed >> 33
      return mixed
    }
  }

  private static let names = [
    "venc", "vpss", "rkisp-vir0", "a-name-longer-than-eleven", "", " ", "two words", "tab\there", "line\nfeed",
    "esc\u{1B}[31m", "ünïcödé", "日本",
  ]

  private static func number(_ random: inout Seeded) -> Int {
    let bits = Int.random(in: 0...62, using: &random)
    return Int.random(in: 0...(1 << bits), using: &random)
  }

  private static func port(_ random: inout Seeded) -> PortReport {
    PortReport(
      frames: UInt64(number(&random)),
      dropped: DropCounts(queueFull: UInt64(number(&random)), late: UInt64(number(&random) / 2)),
      rate: number(&random), frameControl: (0..<Int.random(in: 0...240, using: &random)).map { UInt8($0 % 241) },
      waiting: number(&random), depth: number(&random), timeoutMilliseconds: -1, lastMicroseconds: number(&random))
  }

  @Test(arguments: Dialect.allCases)
  func whateverTheValues(_ dialect: Dialect) throws {
    let columns = dialect == .rockit1432 ? 15 : 23
    var random = Seeded(state: 20_261_121)
    for _ in 0..<200 {
      let nodes = (0..<Int.random(in: 0...8, using: &random)).map { _ in
        NodeReport(
          id: Self.number(&random), name: Self.names.randomElement(using: &random) ?? "",
          channel: Self.number(&random), userID: Self.number(&random), references: Self.number(&random),
          input: Self.port(&random), output: Self.port(&random), flags: NodeFlags(rawValue: .random(in: 0...127)),
          sinks: (0..<Int.random(in: 0...5, using: &random)).map { _ in Self.number(&random) })
      }
      let text = rendered {
        VSysPage.write(nodes: nodes, identity: Sample.identity(dialect), dialect: dialect, to: &$0)
      }
      let all = lines(text)
      let start = try #require(all.firstIndex { $0.contains("mpi node list") })
      let end = try #require(all.firstIndex { $0.contains("mpi node frame control") })
      let rows = all[(start + 2)..<end]
      #expect(rows.count == nodes.count)
      for (row, node) in zip(rows, nodes) {
        let cells = row.split(separator: " ")
        try #require(cells.count == columns + node.sinks.count, "\(row)")
        #expect(cells[0] == "\(node.id)")
        #expect(row.hasPrefix("\(node.id)"))
        #expect(cells[columns - 2] == "\(node.output.lastMicroseconds)")
        #expect(cells[columns - 1].hasPrefix("0x"))
        #expect(cells[columns...].map(String.init) == node.sinks.map(String.init))
      }
      let tables = all[(end + 2)...]
      #expect(
        tables.count
          == nodes.reduce(0) { $0 + ($1.input.frameControl.isEmpty ? 0 : 1) + ($1.output.frameControl.isEmpty ? 0 : 1) }
      )
    }
  }

  @Test(arguments: Dialect.allCases)
  func awkReadsNodesAndRates(_ dialect: Dialect) throws {
    let text = renderText {
      VSysPage.write(nodes: Sample.nodes, identity: Sample.identity(dialect), dialect: dialect, to: &$0)
    }
    let (rate, next) = dialect == .rockit1432 ? (11, 16) : (16, 24)
    let script = """
      /mpi node list/ { on = 1; next }
      /mpi dev list|mpi node frame control/ { on = 0 }
      on && /^[0-9]+/ { print $1, $2, $\(rate), $\(next) }
      """
    let result = try runProgram("awk", [script], input: text)
    #expect(result.status == 0)
    #expect(result.output == "4 rkisp-vir0 30 6\n6 vpss 15 9\n9 venc 0 \n")
  }
}

/// Runs a program with `input` on its standard input; its output and errors together.
func runProgram(_ name: String, _ arguments: [String], input: [UInt8]) throws -> (status: Int32, output: String) {
  let outcome = try Child.run([name] + arguments, input: Data(input))
  return (outcome.status, outcome.text + outcome.errors)
}
