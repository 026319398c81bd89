// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The manual says what the program does: its tables against a running program, its tour typed again, its links followed.
@Suite(.ownThread) struct DocumentationTests {
  // MARK: docs/attributes.md

  /// What is documented about one attribute.
  private struct Documented {
    var kind: String
    var type: String
    var values: String
    var unit: String
    var standard: String
    var change: String
  }

  /// The attributes of docs/attributes.md by path, `venc/N/bitrate`.
  private func documentedAttributes() throws -> [String: Documented] {
    var found: [String: Documented] = [:]
    let page = try ManualPage("docs/attributes.md")
    for table in page.tables {
      // Attributes stand under a heading that begins with their object: `venc/N: encoder`.
      guard let object = table.heading.firstMatch(of: #/^([a-z]+(?:/[A-Za-z]+)+): /#)?.1 else { continue }
      for row in table.rows {
        let isSetting = table.columns[0] == "setting"
        let key = try #require(ManualPage.code(row[table.columns[0]] ?? "").first, "\(table.heading): \(row)")
        let kind = try #require(isSetting ? "setting" : row["kind"])
        let attribute = Documented(
          kind: kind, type: isSetting ? row["type"] ?? "" : kind == "command" ? "trigger" : "-",
          values: row[isSetting ? "values" : "takes"] ?? "", unit: isSetting ? row["unit"] ?? "" : "-",
          standard: isSetting ? row["default"] ?? "" : "-", change: isSetting ? row["change"] ?? "" : "-")
        #expect(found.updateValue(attribute, forKey: "\(object)/\(key)") == nil, "\(object)/\(key) stands there twice")
      }
    }
    return found
  }

  /// Values that the manual says are there only with a build or a device, by attribute.
  private func conditionalValues() throws -> [String: [String: String]] {
    let table = try #require(try ManualPage("docs/attributes.md").tables(with: "attribute", "value").first)
    var found: [String: [String: String]] = [:]
    for row in table.rows {
      let attribute = try #require(ManualPage.code(row["attribute"] ?? "").first)
      let value = try #require(ManualPage.code(row["value"] ?? "").first)
      found[attribute, default: [:]][value] = row["is there with"]
    }
    return found
  }

  /// The words of a choice that are the same on every machine and in every build.
  private func unconditional(_ values: String, _ conditional: [String: String]) -> [String] {
    values.split(separator: " ").map(String.init).filter { !$0.hasPrefix("/dev/") && conditional[$0] == nil }
  }

  @Test func everyAttributeIsDocumentedAsHelpSays() throws {
    // The pages of the tree stand in README's table.
    let rows = HelpPage(try Shared.tables.cat("help")).rows.filter { $0.path.contains("/N/") }
    let documented = try documentedAttributes()
    #expect(Set(documented.keys) == Set(rows.map(\.path)))
    let conditional = try conditionalValues()
    for row in rows {
      guard let said = documented[row.path] else { continue }
      #expect(said.kind == row.kind, "\(row.path)")
      #expect(said.type == row.type, "\(row.path)")
      #expect(said.unit == row.unit, "\(row.path)")
      #expect(said.standard == row.standard, "\(row.path)")
      #expect(said.change == row.change, "\(row.path)")
      let depends = conditional[row.path] ?? [:]
      guard row.type == "choice" else {
        #expect(said.values == row.range, "\(row.path)")
        continue
      }
      #expect(unconditional(said.values, depends) == unconditional(row.range, depends), "\(row.path)")
    }
  }

  /// What depends on the build is there exactly when the build has it.
  @Test func valuesThatDependOnTheBuildAreThereWithIt() throws {
    let rows = HelpPage(try Shared.tables.cat("help")).rows
    var checked = 0
    for (path, values) in try conditionalValues() {
      let row = try #require(rows.first { $0.path == path }, "\(path) is no attribute")
      for (value, condition) in values {
        let isThere = row.range.split(separator: " ").contains { $0 == value }
        switch condition {
        case "a build with x264": #expect(isThere == Machine.hasX264, "\(path) \(value)")
        case "a build with x265": #expect(isThere == Machine.hasX265, "\(path) \(value)")
        case "a build with x265, or a V4L2 encoder for it":
          #expect(isThere || !Machine.hasX265, "\(path) \(value)")
        case "a build with FFmpeg": #expect(isThere == Machine.hasFFmpeg, "\(path) \(value)")
        case "a build with FFmpeg, or a V4L2 decoder for it":
          #expect(isThere || !Machine.hasFFmpeg, "\(path) \(value)")
        default:
          #expect(
            condition.hasPrefix("a V4L2 ") || condition.hasPrefix("a machine with "),
            "\(path) \(value): an unknown condition: \(condition)")
          continue
        }
        checked += 1
      }
    }
    #expect(checked >= 4)
  }

  @Test func whatEffectHoldsSettingsToIsDocumented() throws {
    let table = try #require(try ManualPage("docs/attributes.md").tables(with: "must be met", "within").first)
    let said = table.rows.map { row in
      "\(ManualPage.code(row["setting"] ?? "").first ?? ""): \(row["must be met"] ?? "") within \(row["within"] ?? "")"
    }
    let found = try Shared.tables.cat("help").matches(of: #/venc/N/(\S+) .*\(effect: (.*)\)\n/#)
      .map { "\($0.1): \($0.2)" }
    #expect(Set(said) == Set(found))
    #expect(said.count == found.count)
  }

  // MARK: errnos

  @Test func everyErrnoIsWhatItsExampleGives() throws {
    let numbers: [String: Int32] = [
      "EINVAL": EINVAL, "ERANGE": ERANGE, "EBUSY": EBUSY, "EPIPE": EPIPE, "ENOENT": ENOENT, "ENODEV": ENODEV,
      "ENOTSUP": ENOTSUP, "EEXIST": EEXIST, "E2BIG": E2BIG, "EACCES": EACCES, "EPERM": EPERM, "ELOOP": ELOOP,
      "EAGAIN": EAGAIN, "ETIMEDOUT": ETIMEDOUT,
    ]
    let table = try #require(try ManualPage("docs/attributes.md").tables(with: "errno", "for example").first)
    #expect(Set(table.rows.map { $0["errno"] ?? "" }) == Set(numbers.keys))
    let served = try Served(["--input", "pattern"])
    // Not said to the error log: what is the kernel's own answer, or an ordinary end of a read.
    let unrecorded: Set = ["EEXIST", "EAGAIN"]
    for row in table.rows {
      let name = row["errno"] ?? ""
      let number = try #require(numbers[name])
      let words = row["the shell says"] ?? ""
      #expect(words == String(cString: strerror(number)), "\(name)")
      let example = try #require(ManualPage.code(row["for example"] ?? "").first, "\(name) has no example")
      try served.echo("clear", to: "error_log")
      // A file whose server hangs: another tree, whose program is stopped.
      let storage = name == "ETIMEDOUT" ? try Served(["--load", "none"]) : nil
      defer { storage?.program.signal(SIGCONT) }
      if let storage {
        #expect(try run("mkdir", served.path("vi/8")).status == 0)
        try served.echo("file:" + storage.path("help"), to: "vi/8/input")
        storage.suspend()
      }
      let outcome = try shell(#"cd "$1" && eval "$2""#, served.at, example)
      #expect(outcome.status != 0, "\(example) worked")
      #expect(outcome.errors.contains(": \(words)\n"), "\(example): \(outcome.errors)")
      guard !unrecorded.contains(name) else { continue }
      // Whoever answers a writer that is late and whoever records it are two threads.
      var log = ""
      let isTold = try eventually {
        log = try served.errorLog().last ?? ""
        return log.contains(" \(name)(")
      }
      #expect(isTold, "\(example): \(log)")
    }
  }

  // MARK: the tree

  @Test func theTreeTableIsTheTree() throws {
    let readme = try ManualPage("README.md")
    let table = try #require(readme.tables(with: "path", "shows", "takes").first)
    let listed = table.rows.flatMap { ManualPage.code($0["path"] ?? "") }
    #expect(Set(listed).count == listed.count, "a path stands there twice")
    // What is there only with contiguous memory, the area of it called as the table calls any.
    let kernel = try Served.freshDirectory()
    defer { try? FileManager.default.removeItem(atPath: kernel) }
    let made = try shell(#"cd "$1" && mkdir -p proc sys/kernel/debug/cma/NAME dev/dma_heap/NAME"#, kernel)
    #expect(made.status == 0)
    let served = try Served(["--input", "pattern", "--kernel-root", kernel])
    #expect(try shell(#"cd "$1" && mkdir vdec/0 vo/0 vda/0 rgn/0 rgn/0/attach/venc-0 vb/0"#, served.at).status == 0)
    // What stands for any object, with those that are there.
    let objects = [
      "vi/N/": ["vi/0"], "vpss/N/": ["vpss/0"], "vpss/N/M/": ["vpss/0/0", "vpss/0/1"],
      "venc/N/": ["venc/0", "venc/1", "venc/2"], "vdec/N/": ["vdec/0"], "vo/N/": ["vo/0"], "vda/N/": ["vda/0"],
      "rgn/N/": ["rgn/0"], "rgn/N/attach/M/": ["rgn/0/attach/venc-0"], "vb/N/": ["vb/0"],
    ]
    #expect(Set(listed.filter { $0.hasSuffix("/") }) == Set(objects.keys))
    for path in listed where !path.hasSuffix("/") { #expect(try served.exists(path), "there is no \(path)") }
    let top = try run("ls", "-A", served.at).lines.map(String.init)
    #expect(Set(top) == Set(listed.map { String($0.prefix { $0 != "/" }) }))

    // Every file outside of objects is in the table, every one inside is an attribute of docs/attributes.md.
    let files = try run("find", served.at, "-type", "f", "-printf", "%P\\n").lines.map(String.init)
    var keys: [String: Set<String>] = [:]
    for file in files {
      let object = objects.values.joined().filter { file.hasPrefix($0 + "/") }.max { $0.count < $1.count }
      guard let object else {
        #expect(listed.contains(file), "\(file) is not in the table")
        continue
      }
      keys[object, default: []].insert(String(file.dropFirst(object.count + 1)))
    }
    let attributes = try documentedAttributes()
    for (pattern, places) in objects {
      let documented = attributes.filter { $0.key.hasPrefix(pattern) && $0.value.kind != "stream" }
        .map { String($0.key.dropFirst(pattern.count)) }.filter { !$0.contains("/") }
      for place in places { #expect(keys[place] == Set(documented), "\(place)") }
      for (path, attribute) in attributes where path.hasPrefix(pattern) && attribute.kind == "stream" {
        #expect(try served.exists("\(places[0])/\(path.dropFirst(pattern.count))"), "\(path)")
      }
    }
  }

  // MARK: the tour

  /// What differs from run to run: clocks, builds, measurements. Everything else is compared as it stands.
  nonisolated(unsafe) private static let measured: [(pattern: Regex<Substring>, stands: String)] = [
    (/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z/, "DATE"), (/[0-9]+\.[0-9]{6}/, "SECONDS"),
    (/^version: mpifs:(?:unknown|[0-9a-f]{40}(?:-dirty)?)/, "version: mpifs:COMMIT"),
    (/^build: -[0-9-]{10}-[0-9:]{8}/, "build: -DATE"), (/frame=[0-9]+/, "frame=COUNT"),
    (/measured=[0-9]+ kbps/, "measured=RATE kbps"), (/^h264,1280,720,[0-9]+$/, "h264,1280,720,COUNT"),
  ]

  /// The columns of a row of `vsys` that count or measure: references, frames, losses, rates, times.
  private static let counted: Set = [3, 4, 5, 6, 8, 9, 10, 12, 13]

  /// A line with what differs from run to run made the same.
  private func normalised(_ line: String) -> String {
    let words = line.split(separator: " ").map(String.init)
    if words.count >= 15, words[14].hasPrefix("0x") {
      return words.enumerated().map { Self.counted.contains($0.offset) && Int($0.element) != nil ? "N" : $0.element }
        .joined(separator: " ")
    }
    return Self.measured.reduce(line) { $0.replacing($1.pattern, with: $1.stands) }
  }

  /// Before a command: what somebody who types has given the time for, and a busy machine may not have reached yet.
  private func waitBefore(_ command: String, _ served: Served) throws {
    if command.contains("/venc/0/effect") {
      #expect(try eventually { !(try served.cat("venc/0/effect").contains(": pending ")) })
    } else if command.contains("/vsys") {
      // The rates are those of a full second.
      #expect(try served.advances("venc/2", "frames_out", by: 2))
    } else if command == "cat /mpi/health" {
      #expect(try eventually { try served.moves })
    } else if command.contains("cat /mpi/health") {
      #expect(
        try eventually { keepingUp(try served.cat("health").split(separator: "\n").map(String.init)).count == 3 })
    }
  }

  @Test func theTourPrintsWhatItShows() throws {
    let block = try #require(try ManualPage("README.md").blocks.first { $0.language == "console" })
    var steps: [(command: String, shown: [String])] = []
    for line in block.lines {
      if line.hasPrefix("# ") {
        steps.append((String(line.dropFirst(2)), []))
      } else if !line.isEmpty {
        try #require(!steps.isEmpty, "the tour begins with what is printed: \(line)")
        steps[steps.count - 1].shown.append(line)
      }
    }
    #expect(steps.count >= 15)
    // The tour was typed on a machine that keeps up with 30 frames a second.
    let served = try Served(["--input", "pattern"], ahead: true)
    let typist = try Typist(in: served.scratch)
    for (command, shown) in steps {
      let typed = command.replacingOccurrences(of: "/mpi", with: served.at)
      try waitBefore(command, served)
      // `timeout` may cut the last picture of a recording, of which ffprobe complains.
      let printed = try typist.type(typed).filter { !$0.hasPrefix("[h264 @ ") }
        .map { $0.replacingOccurrences(of: served.at, with: "/mpi") }
      #expect(keepingUp(printed).map(normalised) == shown.map(normalised), "\(command)")
    }
  }

  /// What `health` says of a machine that does not keep up with 30 frames a second is true, and not shown.
  private func keepingUp(_ printed: [String]) -> [String] {
    let kept = printed.filter { !$0.contains(#/^\S+: (lost \d+ frames? in|gives \S+ of|works \S+ s on) /#) }
    return kept.count < printed.count && kept == ["degraded"] ? ["ok"] : kept
  }

  // MARK: links

  @Test func linksLeadSomewhere() throws {
    let pages = try ManualPage.all()
    let anchors = Dictionary(uniqueKeysWithValues: pages.map { ($0.path, $0.anchors) })
    var followed = 0
    for page in pages {
      for link in page.links where !link.contains("://") {
        let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let folder = URL(filePath: Machine.repository + "/" + page.path).deletingLastPathComponent()
        let file = folder.appending(path: parts[0]).standardizedFileURL.path
        let target = parts[0].isEmpty ? page.path : String(file.dropFirst(Machine.repository.count + 1))
        followed += 1
        // What mount/bundle and mount/install put beside the program.
        #expect(target == "README.md" || target.hasPrefix("docs/"), "\(page.path): \(link) is not shipped")
        let isThere = FileManager.default.fileExists(atPath: Machine.repository + "/" + target)
        #expect(isThere, "\(page.path): \(link)")
        guard parts.count == 2, isThere else { continue }
        #expect(anchors[target]?.contains(parts[1]) == true, "\(page.path): \(link)")
      }
    }
    #expect(followed >= 20)
  }

  @Test func everyPageIsInTheIndex() throws {
    let index = Set(try ManualPage("docs/README.md").links.map { String($0.prefix { $0 != "#" }) })
    for page in try ManualPage.all() where page.path.hasPrefix("docs/") && page.path != "docs/README.md" {
      #expect(index.contains(String(page.path.dropFirst(5))), "\(page.path) is not in docs/README.md")
    }
  }

  @Test func pagesStayReadable() throws {
    #expect(try ManualPage("README.md").lines.count <= 201, "README.md has more than 200 lines")
    for page in try ManualPage.all() {
      for table in page.tables {
        for (column, cell) in table.rows.joined() {
          #expect(cell.count <= 240, "\(page.path), \(table.heading), \(column): \(cell.count) characters in a cell")
        }
      }
    }
  }
}
