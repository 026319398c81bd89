// SPDX-License-Identifier: Apache-2.0
import Glibc

/// One line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)): reading it touches no mount.
struct MountTableEntry: Hashable, Sendable {
  /// The minor number of the mount's device: for FUSE the name of its directory below `/sys/fs/fuse/connections`.
  var minor: UInt32
  var mountPoint: String
  var type: String
  var source: String

  /// Nil for a line of another shape.
  init?(line: Substring) {
    let fields = line.split(separator: " ")
    guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count >= dash + 3 else { return nil }
    let device = fields[2].split(separator: ":")
    guard device.count == 2, let minor = UInt32(device[1]) else { return nil }
    self.minor = minor
    mountPoint = Self.unescape(fields[4])
    type = String(fields[dash + 1])
    source = Self.unescape(fields[dash + 2])
  }

  /// Blanks, tabs, newlines and backslashes are written as three octal digits.
  static func unescape(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    let raw = Array(field.utf8)
    var at = 0
    while at < raw.count {
      if raw[at] == UInt8(ascii: "\\"), at + 3 < raw.count,
        let code = UInt8(String(decoding: raw[at + 1...at + 3], as: UTF8.self), radix: 8)
      {
        bytes.append(code)
        at += 4
      } else {
        bytes.append(raw[at])
        at += 1
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The process that serves the mount, when it is one of NodeFS with this name.
  func server(name: String) -> (isOurs: Bool, pid: Int32?) {
    guard type == "fuse.\(name)" else { return (false, nil) }
    let parts = source.split(separator: ":", maxSplits: 1)
    guard parts.first.map(String.init) == name else { return (false, nil) }
    return (true, parts.count == 2 ? Int32(parts[1]) : nil)
  }

  static func parse(_ text: String) -> [MountTableEntry] {
    text.split(separator: "\n").compactMap { MountTableEntry(line: $0) }
  }

  /// Whether there is a table to read; early at boot and in a bare chroot there is no `/proc`.
  static var isThere: Bool { access("/proc/self/mountinfo", R_OK) == 0 }

  /// All mounts this process sees, the topmost of a stack last; none where there is no table.
  static func all() -> [MountTableEntry] {
    guard let file = fopen("/proc/self/mountinfo", "re") else { return [] }
    defer { fclose(file) }
    var text: [UInt8] = []
    withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 1) { room in
      while true {
        let count = fread(room.baseAddress, 1, room.count, file)
        if count == 0 { break }
        text.append(contentsOf: room[..<count])
      }
    }
    return parse(String(decoding: text, as: UTF8.self))
  }

  /// What is mounted on top at `path`, which must be absolute and without symbolic links.
  static func top(at path: String) -> MountTableEntry? { all().last { $0.mountPoint == path } }
}
