// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The memory this process can have at all, and what of it is to spare: the machine's (`/proc/meminfo`, proc(5)), or its control
/// group's where that has less (kernel: `Documentation/admin-guide/cgroup-v2.rst`; a container, or `MemoryMax=` of a unit).
public struct MachineMemory: Sendable, Equatable {
  /// Bytes there are; `nil` where the kernel does not tell.
  public var total: Int?
  /// Bytes that could be had without anything being swapped out.
  public var available: Int?

  /// - Parameter root: has `proc` and `sys` in it; nothing for the machine's own.
  public static func now(under root: String = "") -> MachineMemory {
    var memory = MachineMemory()
    if let text = text(root + "/proc/meminfo") {
      memory.total = kilobytes("MemTotal:", in: text)
      memory.available = kilobytes("MemAvailable:", in: text)
    }
    guard let group = text(root + "/proc/self/cgroup")?.split(separator: "\n").first(where: { $0.hasPrefix("0::/") })
    else { return memory }
    var path = group.dropFirst(3)
    // One outside of what this process sees cannot be looked at.
    guard !path.split(separator: "/").contains("..") else { return memory }
    while true {
      memory.bound(by: root + "/sys/fs/cgroup\(path == "/" ? "" : path)")
      guard path != "/", let slash = path.lastIndex(of: "/") else { return memory }
      path = slash == path.startIndex ? "/" : path[..<slash]
    }
  }

  /// What a control group allows bounds everything below it. What it holds for files alone it gives up when asked.
  private mutating func bound(by folder: String) {
    guard let most = Self.text(folder + "/memory.max").flatMap(Self.number) else { return }
    total = min(total ?? .max, most)
    guard let used = Self.text(folder + "/memory.current").flatMap(Self.number) else { return }
    let files = Self.text(folder + "/memory.stat")?.split(separator: "\n").lazy
      .filter { $0.hasPrefix("inactive_file ") }.compactMap { Int($0.dropFirst(14)) }.first
    let held = max(0, used - max(0, files ?? 0))
    available = min(available ?? .max, max(0, most - held))
  }

  private static func number(_ text: String) -> Int? {
    guard let number = Int(text.prefix { $0 != "\n" }), number >= 0 else { return nil }
    return number
  }

  private static func kilobytes(_ key: String, in text: String) -> Int? {
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(key) }) else { return nil }
    let words = line.dropFirst(key.utf8.count).split(separator: " ")
    guard words.count == 2, words[1] == "kB", let kilobytes = Int(words[0]), kilobytes >= 0 else { return nil }
    let (bytes, isOver) = kilobytes.multipliedReportingOverflow(by: 1024)
    return isOver ? nil : bytes
  }

  /// The beginning of a small file of the kernel's.
  private static func text(_ path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    return withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 1) { buffer in
      let count = read(file, buffer.baseAddress, buffer.count)
      return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
  }
}
