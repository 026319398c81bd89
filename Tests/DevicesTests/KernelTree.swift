// SPDX-License-Identifier: Apache-2.0
import Foundation

@testable import Devices

/// A folder that looks like the kernel's own: `proc` and `sys` with what a test puts there.
final class KernelTree {
  let root: String

  init() throws {
    root = FileManager.default.temporaryDirectory.appending(path: "mpifs-kernel-\(UUID().uuidString)").path
    try folder("proc")
  }

  deinit { try? FileManager.default.removeItem(atPath: root) }

  var roots: KernelRoots { KernelRoots(under: root) }

  func folder(_ path: String) throws {
    try FileManager.default.createDirectory(atPath: root + "/" + path, withIntermediateDirectories: true)
  }

  func file(_ path: String, _ text: String) throws {
    try folder((path as NSString).deletingLastPathComponent)
    try Data(text.utf8).write(to: URL(fileURLWithPath: root + "/" + path))
  }

  func remove(_ path: String) throws { try FileManager.default.removeItem(atPath: root + "/" + path) }

  func bufferList(_ text: String) throws { try file("sys/kernel/debug/dma_buf/bufinfo", text) }

  func process(_ pid: Int, _ name: String) throws {
    try folder("proc/\(pid)/fd")
    try folder("proc/\(pid)/task/\(pid)")
    try file("proc/\(pid)/comm", name + "\n")
    try file("proc/\(pid)/maps", "")
  }

  /// So long, and so often, a process's leader or a thread of it has run.
  func runs(_ pid: Int, _ nanoseconds: Int, thread: Int? = nil) throws {
    let folder = thread.map { "proc/\(pid)/task/\($0)" } ?? "proc/\(pid)"
    try file("\(folder)/schedstat", "\(nanoseconds) 0 \(nanoseconds)\n")
  }

  /// A descriptor of a process or, with `task/TID/` in front, of one of its threads.
  func descriptor(_ fd: Int, of process: String, to target: String, _ info: String) throws {
    try folder("proc/\(process)/fd")
    try FileManager.default.createSymbolicLink(
      atPath: "\(root)/proc/\(process)/fd/\(fd)", withDestinationPath: target)
    try file("proc/\(process)/fdinfo/\(fd)", info)
  }

  func buffer(
    _ fd: Int, of process: String, inode: UInt64, size: UInt64, count: Int = 1, exporter: String = "system",
    name: String? = nil
  ) throws {
    try descriptor(
      fd, of: process, to: "/dmabuf:\(name ?? "")",
      Self.info(inode: inode, size: size, count: count, exporter: exporter, name: name))
  }

  /// As Linux 6.12 writes it.
  static func info(inode: UInt64, size: UInt64, count: Int, exporter: String, name: String?) -> String {
    "pos:\t0\nflags:\t02000002\nmnt_id:\t9\nino:\t\(inode)\nsize:\t\(size)\ncount:\t\(count)\nexp_name:\t\(exporter)\n"
      + (name.map { "name:\t\($0)\n" } ?? "")
  }

  /// A line of `bufinfo` as Linux 6.12 writes it, with its attachments.
  static func line(
    inode: UInt64, size: UInt64, count: Int, exporter: String = "system", name: String = "<none>",
    devices: [String] = []
  ) -> String {
    let numbers = [String(size), "02000002", "000a0007", String(count)].map {
      String(repeating: "0", count: max(0, 8 - $0.count)) + $0
    }
    let number = String(inode)
    return numbers.joined(separator: "\t") + "\t\(exporter)\t"
      + String(repeating: "0", count: max(0, 8 - number.count)) + number + "\t\(name)\n\tAttached Devices:\n"
      + devices.map { "\t\($0)\n" }.joined() + "Total \(devices.count) devices attached\n\n"
  }

  /// The whole of `bufinfo`.
  static func list(_ lines: [String], bytes: UInt64) -> String {
    "\nDma-buf Objects:\nsize    \tflags   \tmode    \tcount   \texp_name\tino     \tname\n" + lines.joined()
      + "\nTotal \(lines.count) objects, \(bytes) bytes\n"
  }
}
