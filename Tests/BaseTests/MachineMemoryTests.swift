import Foundation
import TestSupport
import Testing

// SPDX-License-Identifier: Apache-2.0
@testable import Base

/// How much memory there is for this process, of forged trees as kernels have them.
@Suite(.ownThread) struct MachineMemoryTests {
  private static let meminfo = """
    MemTotal:          62148 kB
    MemFree:            9000 kB
    MemAvailable:      28672 kB

    """

  /// - Parameter files: by their path.
  private func memory(_ files: [String: String]) throws -> MachineMemory {
    let root = FileManager.default.temporaryDirectory.appending(path: "memory-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    for (path, text) in files {
      let file = root.appending(path: path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    return MachineMemory.now(under: root.path())
  }

  @Test func isTheMachinesWhereNoGroupHasLess() throws {
    let machine = MachineMemory(total: 62148 << 10, available: 28672 << 10)
    #expect(try memory(["proc/meminfo": Self.meminfo]) == machine)
    #expect(
      try memory([
        "proc/meminfo": Self.meminfo, "proc/self/cgroup": "0::/user.slice\n",
        "sys/fs/cgroup/user.slice/memory.max": "max\n",
      ]) == machine)
  }

  @Test func ofAllGroupsAboveTheLeastCounts() throws {
    let found = try memory([
      "proc/meminfo": Self.meminfo, "proc/self/cgroup": "1:net_cls:/a\n0::/system.slice/mpifs.service\n",
      "sys/fs/cgroup/system.slice/memory.max": "33554432\n", "sys/fs/cgroup/system.slice/memory.current": "20000000\n",
      "sys/fs/cgroup/system.slice/memory.stat": "anon 12\nfile 5000000\ninactive_file 4000000\nactive_file 1000000\n",
      "sys/fs/cgroup/system.slice/mpifs.service/memory.max": "40000000\n",
      "sys/fs/cgroup/system.slice/mpifs.service/memory.current": "1000000\n",
    ])
    #expect(found == MachineMemory(total: 33_554_432, available: 33_554_432 - 16_000_000))
  }

  @Test func theGroupOfAContainerIsItsRoot() throws {
    let found = try memory([
      "proc/meminfo": Self.meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "16777216\n",
      "sys/fs/cgroup/memory.current": "20000000\n",
    ])
    // It holds more than it may by now.
    #expect(found == MachineMemory(total: 16_777_216, available: 0))
  }

  @Test func whatCannotBeReadIsNotGuessed() throws {
    #expect(try memory([:]) == MachineMemory())
    #expect(try memory(["proc/meminfo": "MemTotal: 12 pages\nMemAvailable:\n"]) == MachineMemory())
    #expect(try memory(["proc/meminfo": "MemTotal: 99999999999999999 kB\nMemAvailable: -3 kB\n"]) == MachineMemory())
    let machine = MachineMemory(total: 62148 << 10, available: 28672 << 10)
    #expect(
      try memory([
        "proc/meminfo": Self.meminfo, "proc/self/cgroup": "0::/../other\n", "sys/fs/other/memory.max": "1\n",
      ]) == machine)
    #expect(
      try memory([
        "proc/meminfo": Self.meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "-1\n",
      ]) == machine)
  }
}
