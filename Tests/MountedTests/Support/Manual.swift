// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// A page of the manual, taken apart as far as it is checked: headings, tables, code blocks, links.
struct ManualPage {
  /// A table, with the heading it stands under.
  struct Table {
    var heading: String
    var columns: [String]
    var rows: [[String: String]]
  }

  /// Path inside the repository.
  let path: String
  let lines: [String]
  private(set) var headings: [String] = []
  private(set) var tables: [Table] = []
  /// Fenced blocks by language.
  private(set) var blocks: [(language: String, lines: [String])] = []
  private(set) var links: [String] = []

  init(_ path: String) throws {
    self.path = path
    let text = try String(contentsOfFile: Machine.repository + "/" + path, encoding: .utf8)
    lines = text.components(separatedBy: "\n")
    var block: (language: String, lines: [String])?
    var table: Table?
    for line in lines {
      if line.hasPrefix("```") {
        if let ended = block {
          blocks.append(ended)
          block = nil
        } else {
          block = (String(line.dropFirst(3)), [])
        }
        continue
      }
      guard block == nil else {
        block?.lines.append(line)
        continue
      }
      links += line.matches(of: #/\[[^\]]*\]\(([^)]+)\)/#).map { String($0.1) }
      if let heading = line.wholeMatch(of: /#+ (.*)/) { headings.append(String(heading.1)) }
      guard line.hasPrefix("|") else {
        if let ended = table { tables.append(ended) }
        table = nil
        continue
      }
      let cells = line.dropFirst().split(separator: "|", omittingEmptySubsequences: false).dropLast()
        .map { $0.trimmingCharacters(in: .whitespaces) }
      if table == nil {
        table = Table(heading: headings.last ?? "", columns: cells, rows: [])
      } else if !cells.allSatisfy({ $0.wholeMatch(of: /-+/) != nil && $0.count >= 3 }), let columns = table?.columns {
        table?.rows.append(Dictionary(zip(columns, cells), uniquingKeysWith: { first, _ in first }))
      }
    }
    if let table { tables.append(table) }
  }

  /// The tables that have these columns.
  func tables(with columns: String...) -> [Table] { tables.filter { Set(columns).isSubset(of: $0.columns) } }

  /// The anchors of the page as GitHub makes them of headings.
  var anchors: Set<String> {
    Set(
      headings.map { heading in
        String(
          heading.lowercased().filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }
            .map { $0 == " " ? "-" : $0 })
      })
  }

  /// What stands in backquotes in a cell.
  static func code(_ cell: String) -> [String] { cell.matches(of: /`([^`]+)`/).map { String($0.1) } }

  /// README.md and every page of docs/.
  static func all() throws -> [ManualPage] {
    let docs = try FileManager.default.contentsOfDirectory(atPath: Machine.repository + "/docs")
    return try ["README.md"].map { try ManualPage($0) }
      + docs.filter { $0.hasSuffix(".md") }.sorted().map { try ManualPage("docs/" + $0) }
  }
}

/// bash as a person at a terminal has it: one shell that is given one command after the other.
final class Typist {
  private let shell: Child
  private let input: Int32
  private var count = 0

  struct NoAnswer: Error, CustomStringConvertible {
    var description: String
  }

  /// - Parameter folder: where the shell starts.
  init(in folder: String) throws {
    var ends: [Int32] = [0, 0]
    let made = Child.spawning.withLock {
      pipe(&ends) == 0 && ends.allSatisfy { fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }
    }
    guard made else { throw NoAnswer(description: "no pipe") }
    input = ends[1]
    defer { close(ends[0]) }
    // Interactive, so that it words its errors as people see them; without a terminal it echoes nothing.
    shell = try Child(
      ["bash", "--norc", "--noprofile", "--noediting", "-i"], inputDescriptor: ends[0],
      environment: ["PS1": "", "PS2": "", "HISTFILE": "/dev/null"])
    _ = try type("exec 2>&1; cd '\(folder)'")
  }

  deinit { close(input) }

  /// Types one command and waits for its end.
  /// - Returns: the lines it printed, stderr's too.
  func type(_ command: String) throws -> [String] {
    count += 1
    let begin = shell.outputSize
    let mark = "=== end of command \(count) ===\n"
    let typed = command + "\nprintf '=== end of command %s ===\\n' \(count)\n"
    try FileHandle(fileDescriptor: input).write(contentsOf: Data(typed.utf8))
    // A file that is cut off without a newline has the mark behind its last line.
    guard eventually({ shell.outputText.hasSuffix(mark) || !shell.isRunning }), shell.outputText.hasSuffix(mark) else {
      throw NoAnswer(description: "\(command): no end; so far: \(shell.outputText)")
    }
    let answer = String(decoding: shell.output.dropFirst(begin).dropLast(mark.utf8.count), as: UTF8.self)
    return answer.isEmpty
      ? [] : (answer.hasSuffix("\n") ? String(answer.dropLast()) : answer).components(separatedBy: "\n")
  }
}
