// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
import SystemPackage

/// Knows which paths lie in the tree this process itself serves. Opening one of them would make the program wait for
/// itself, so values that name one are refused.
struct OwnTree: Sendable {
  /// Absolute path of the mount point; `nil` when nothing is mounted.
  let mountPoint: String?
  /// The same as it was given, by its text; a link may lead there.
  private let givenName: String?

  /// Follows the links that lead to the mount point, itself one or not. No request goes to what may be mounted there.
  init(mountPoint: String?) {
    self.mountPoint = mountPoint.map { Self.canonical($0) }
    givenName = mountPoint.map { Self.normalized($0) }
  }

  /// The path without links, as mountinfo names it. What is missing yet will be made as directories.
  private static func canonical(_ path: String) -> String {
    guard let followed = follow(path, entering: { _ in true }) else { return normalized(path) }
    return followed.isEmpty ? "/" : followed
  }

  /// Where `path` leads, its links followed here step by step; nil when `isAllowed` says no to a step, asked before the
  /// kernel is about it, or when there are more links than the kernel itself follows.
  private static func follow(_ path: String, entering isAllowed: (String) -> Bool) -> String? {
    var pending = Array(components(path).reversed())
    var here = ""
    var links = 0
    while let name = pending.popLast() {
      if name == ".." {
        here = parent(here)
        continue
      }
      let next = here + "/" + name
      guard isAllowed(next) else { return nil }
      guard let target = link(next) else {
        here = next
        continue
      }
      links += 1
      guard links <= 40 else { return nil }
      if target.hasPrefix("/") { here = "" }
      pending.append(contentsOf: components(target).reversed())
    }
    return here
  }

  private static func refusal(_ path: String, _ value: [UInt8]) -> Refusal {
    Refusal(
      .tooManySymbolicLinkLevels, path: path, value: value, reason: "lies in the tree this program serves itself",
      hint: "a file or device outside the mount point")
  }

  /// By the text alone, without asking the kernel.
  func checkLexically(_ input: InputSpecification, path: String, value: [UInt8]) throws(Refusal) {
    guard let file = Self.file(input).map({ Self.normalized($0) }) else { return }
    for place in [mountPoint, givenName] {
      if let place, Self.lies(file, in: place) { throw Self.refusal(path, value) }
    }
  }

  /// With the symbolic links and mounts there are now. Looks at links, so on the thread that opens the file only.
  ///
  /// Links are followed here step by step instead of asking the kernel about the whole path: every prefix is compared
  /// before it is looked at, so that no request ever goes into our own tree.
  /// - Throws: ELOOP when it lies in our own tree.
  func check(_ input: InputSpecification) throws(Failure) {
    guard let file = Self.file(input), let mountPoint else { return }
    let mounts = Self.mounts(of: mountPoint, table: Self.mountTable())
    var isOurs = false
    // With too many links the open that follows fails with ELOOP by itself.
    _ = Self.follow(file) { step in
      isOurs = mounts.contains { Self.lies(step, in: $0) }
      return !isOurs
    }
    if isOurs {
      throw Failure(.tooManySymbolicLinkLevels, "input", on: file, "lies in the tree this program serves itself")
    }
  }

  private static func file(_ input: InputSpecification) -> String? {
    switch input {
    case .pattern: nil
    case .file(let path), .device(let path): path
    }
  }

  // MARK: paths as text

  private static func components(_ path: String) -> [String] {
    path.split(separator: "/").filter { $0 != "." }.map(String.init)
  }

  private static func parent(_ path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
  }

  static func normalized(_ path: String) -> String {
    var result: [String] = []
    for name in components(path) {
      if name == ".." { _ = result.popLast() } else { result.append(name) }
    }
    return "/" + result.joined(separator: "/")
  }

  static func lies(_ path: String, in directory: String) -> Bool {
    path == directory || path.hasPrefix(directory == "/" ? "/" : directory + "/")
  }

  private static func link(_ path: String) -> String? {
    let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: 4096)
    defer { buffer.deallocate() }
    let count = readlink(path, buffer, 4096)
    guard count > 0 else { return nil }
    return String(decoding: UnsafeRawBufferPointer(start: buffer, count: count), as: UTF8.self)
  }

  // MARK: mounts

  /// Every place where the filesystem mounted at `mountPoint` can be reached, bind mounts included (mountinfo, see
  /// proc(5): field 3 is the device, field 5 the mount point).
  static func mounts(of mountPoint: String, table: String) -> [String] {
    let lines = table.split(separator: "\n").map { $0.split(separator: " ") }.filter { $0.count > 5 }
    // The last one at a place hides those before it.
    guard let device = lines.last(where: { unescaped($0[4]) == mountPoint })?[2] else { return [mountPoint] }
    return [mountPoint] + lines.filter { $0[2] == device }.map { unescaped($0[4]) }
  }

  private static func mountTable() -> String {
    let file = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16384)
    while true {
      let count = read(file, &chunk, chunk.count)
      guard count > 0 else { break }
      bytes.append(contentsOf: chunk[..<count])
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Blanks and backslashes stand as `\040` and `\134` in mountinfo.
  private static func unescaped(_ field: Substring) -> String {
    guard field.utf8.contains(UInt8(ascii: "\\")) else { return String(field) }
    var result: [UInt8] = []
    var rest = Array(field.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.count >= 3,
        let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
      {
        result.append(code)
        rest = rest.dropFirst(3)
      } else {
        result.append(byte)
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
