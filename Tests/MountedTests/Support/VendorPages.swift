// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The rows of `vsys`, as a script of the field reads them: split at blanks, up to the next title.
struct SystemPage {
  struct Row {
    var id: Int
    var name: String
    var channel: Int
    var references: Int
    var framesIn: Int
    var lostIn: Int
    var rateIn: Int
    var baseIn: Int
    var framesOut: Int
    var rateOut: Int
    var itime: Int
    var otime: Int
    var state: UInt64
    var next: [Int]
  }

  var rows: [Row] = []
  /// Drop tables by node id and side.
  var tables: [(id: Int, side: String, entries: [Int])] = []

  init(_ text: String) {
    var section = ""
    for line in text.split(separator: "\n") {
      if line.hasPrefix("***") {
        section = line.trimmingCharacters(in: CharacterSet(charactersIn: "*"))
        continue
      }
      let words = line.split(separator: " ").map(String.init)
      guard let id = words.first.flatMap({ Int($0) }) else { continue }
      let numbers = words.map { Int($0) ?? -1 }
      if section == "mpi node list", words.count >= 15 {
        rows.append(
          Row(
            id: id, name: words[1], channel: numbers[2], references: numbers[3], framesIn: numbers[4],
            lostIn: numbers[5], rateIn: numbers[6], baseIn: numbers[7], framesOut: numbers[8], rateOut: numbers[10],
            itime: numbers[12], otime: numbers[13], state: UInt64(words[14].dropFirst(2), radix: 16) ?? 0,
            next: Array(numbers[15...])))
      } else if section == "mpi node frame control", words.count >= 3 {
        tables.append((id, words[2], Array(numbers[3...])))
      }
    }
  }

  func row(_ name: String, _ channel: Int) -> Row? { rows.first { $0.name.hasPrefix(name) && $0.channel == channel } }

  /// Ids of all nodes that frames of this node reach.
  func reached(from id: Int) -> Set<Int> {
    var found: Set<Int> = []
    var pending = [id]
    while let here = pending.popLast() {
      for next in rows.first(where: { $0.id == here })?.next ?? [] where found.insert(next).inserted {
        pending.append(next)
      }
    }
    return found
  }
}

/// The rows of `valloc`.
struct AllocationPage {
  struct Buffer {
    var id: Int
    var pool: Int
    var references: Int
    var size: Int
    var handle: String
    var creator: String
    /// `name`, node id.
    var users: [(name: String, id: Int)]
  }
  struct Pool {
    var id: Int
    var total: Int
    var free: Int
    var minimum: Int
    var size: Int
  }

  var buffers: [Buffer] = []
  var pools: [Pool] = []
  var total = -1

  init(_ text: String) {
    var section = ""
    for line in text.split(separator: "\n") {
      if line.hasPrefix("***") {
        section = line.trimmingCharacters(in: CharacterSet(charactersIn: "*"))
        continue
      }
      if line.hasPrefix("total:") {
        total = Int(line.dropFirst(6).trimmingCharacters(in: .whitespaces)) ?? -1
        continue
      }
      let words = line.split(separator: " ").map(String.init)
      guard let id = words.first.flatMap({ Int($0) }) else { continue }
      let numbers = words.map { Int($0) ?? -1 }
      if section == "mpi buf list", words.count >= 7 {
        buffers.append(
          Buffer(
            id: id, pool: numbers[1], references: numbers[2], size: numbers[4], handle: words[5], creator: words[6],
            users: words[7...].map { word in
              let name = word.prefix { $0 != "(" }
              let parts = name.split(separator: "_")
              return (parts.dropLast().joined(separator: "_"), parts.last.flatMap { Int($0) } ?? -1)
            }))
      } else if section == "mpi pool list", words.count >= 6 {
        pools.append(
          Pool(id: id, total: numbers[1], free: numbers[2], minimum: numbers[3], size: numbers[4]))
      }
    }
  }
}

/// The sections of `venc_info`.
struct EncoderPage {
  struct Section {
    /// The title line as it stands.
    var titleLine: String
    var header: String
    var rows: [String]

    var title: String { titleLine.trimmingCharacters(in: CharacterSet(charactersIn: "-")) }

    private static func cells(_ line: String) -> [String] {
      line.split { $0 == " " || $0 == "|" }.map(String.init)
    }

    /// A row by column. Values that touch their neighbour are cut at the header's edges, as the vendor's widths are.
    func values(_ row: String) -> [String: String] {
      let names = Self.cells(header)
      var values = Self.cells(row)
      if values.count != names.count {
        values = []
        var start = header.startIndex
        for name in names {
          guard let range = header.range(of: name, range: start..<header.endIndex) else { break }
          let (from, to) = (header.distance(from: header.startIndex, to: start), range.upperBound)
          let until = header.distance(from: header.startIndex, to: to)
          values.append(String(row.dropFirst(from).prefix(until - from)).trimmingCharacters(in: .whitespaces))
          start = to
        }
      }
      return Dictionary(zip(names, values), uniquingKeysWith: { first, _ in first })
    }
  }

  var sections: [Section] = []

  init(_ text: String) {
    var lines = text.components(separatedBy: "\n")[...]
    while let line = lines.popFirst() {
      if line.hasPrefix("-----") {
        sections.append(Section(titleLine: line, header: lines.popFirst() ?? "", rows: []))
      } else if !line.isEmpty, !sections.isEmpty {
        sections[sections.count - 1].rows.append(line)
      }
    }
  }

  /// The titles of one channel's sections in their order.
  func titles(channel: Int) -> [String] { sections.filter { section in row(section, channel) != nil }.map(\.title) }

  private func row(_ section: Section, _ channel: Int) -> [String: String]? {
    section.rows.lazy.map { section.values($0) }
      .first { ($0["ID"] ?? $0["ChnId"]).flatMap { Int($0) } == channel }
  }

  /// One value of one channel.
  func value(_ channel: Int, _ title: String, _ column: String) -> String? {
    for section in sections where section.title == title {
      if let found = row(section, channel) { return found[column] }
    }
    return nil
  }

  func number(_ channel: Int, _ title: String, _ column: String) -> Int? {
    value(channel, title, column).flatMap { Int($0) }
  }
}

/// The samples of `metrics`, by name and labels as they stand.
struct Metrics {
  var samples: [String: Double] = [:]

  init(_ text: String) {
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      guard let blank = line.lastIndex(of: " ") else { continue }
      samples[String(line[..<blank])] = Double(line[line.index(after: blank)...])
    }
  }

  subscript(_ name: String) -> Double? { samples[name] }
}

/// The rows of `help`.
struct HelpPage {
  struct Row {
    var path: String
    var kind: String
    var type: String
    var range: String
    var unit: String
    var standard: String
    var change: String
    var note: String

    /// Where a page is: at its path, and at others its note names.
    var paths: [String] { [path] + note.split(separator: "; also ").dropFirst().map(String.init) }
    /// It is a page of the whole, not an attribute of objects.
    var isPage: Bool { !path.contains("/N/") }
    var object: String { String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) }
    var key: String { String(path[path.index(after: path.lastIndex(of: "/") ?? path.startIndex)...]) }
  }

  var rows: [Row] = []

  init(_ text: String) {
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let cells = line.replacing(#/ {2,}/#, with: "\t").split(separator: "\t", omittingEmptySubsequences: false)
        .map(String.init)
      guard cells.count >= 7 else { continue }
      rows.append(
        Row(
          path: cells[0], kind: cells[1], type: cells[2], range: cells[3], unit: cells[4], standard: cells[5],
          change: cells[6], note: cells.count > 7 ? cells[7] : ""))
    }
  }

  func keys(of object: String) -> Set<String> { Set(rows.filter { $0.object == object }.map(\.key)) }
}
