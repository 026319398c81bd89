// SPDX-License-Identifier: Apache-2.0
import Foundation
import Reports
import TestSupport
import Testing

@testable import Devices

/// What kernels of several series showed of the same buffers, written down byte by byte in guests (`Recorded/`): two that have
/// names, one of 16 KiB that is mapped and open nowhere, and one of the system heap. A process has all of them, the first by two
/// descriptors; its child has the second and the mapping. The first three are `udmabuf`'s, or a display card's (`drm`) where
/// Debian's kernel has none.
@Suite(.ownThread) struct RecordedKernelTests {
  struct Recording: Sendable, CustomTestStringConvertible {
    var series: String
    var parent: Int32
    var child: Int32
    var exporter = "udmabuf"
    var heap = "system"
    /// `fdinfo` says which buffer a descriptor is: since 5.14. On 5.10 the card gave no third buffer.
    var isOld = false
    var testDescription: String { "linux \(series)" }
    var bytes: UInt64 { isOld ? 24576 : 40960 }
  }

  static let recordings = [
    Recording(series: "5.10", parent: 152, child: 153, exporter: "drm", heap: "system_heap", isOld: true),
    Recording(series: "6.1", parent: 163, child: 164, exporter: "drm"),
    Recording(series: "6.12", parent: 98, child: 100),
    Recording(series: "7.2", parent: 159, child: 161),
  ]

  /// Lines of a file follow its name, each behind a bar; so does where a link leads.
  private func tree(_ recording: Recording) throws -> KernelTree {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Recorded/linux-\(recording.series).txt")
    let tree = try KernelTree()
    for part in try String(contentsOf: file, encoding: .utf8).split(separator: "@") {
      let lines = part.split(separator: "\n", omittingEmptySubsequences: false)
      let words = lines[0].split(separator: " ")
      let path = String(try #require(words.last))
      let text = lines.dropFirst().filter { $0.hasPrefix("|") }.map { $0.dropFirst() }.joined(separator: "\n")
      if words.first == "link" {
        try tree.folder((path as NSString).deletingLastPathComponent)
        try FileManager.default.createSymbolicLink(atPath: tree.root + "/" + path, withDestinationPath: text)
      } else {
        try tree.file(path, text + "\n")
      }
    }
    for process in [recording.parent, recording.child] { try tree.folder("proc/\(process)/task/\(process)") }
    return tree
  }

  private func look(_ tree: KernelTree) throws -> MemoryScan { try MemoryScanner(tree.roots).look(.holders) }

  private func holders(_ scan: MemoryScan, _ inode: UInt64) throws -> [MemoryScan.Holder] {
    try #require(scan.buffers.first { $0.inode == inode }).holders.sorted { $0.process < $1.process }
  }

  @Test(arguments: recordings) func theListIsTheTotalAndProcessesAreTheHolders(_ recording: Recording) throws {
    let scan = try look(try tree(recording))
    #expect(scan.list == .bufinfo && scan.disagreements == 0 && scan.unreadable == 0)
    #expect(scan.bytes == recording.bytes && scan.kernelBytes == recording.bytes)
    // The newest first.
    let buffers = Array(scan.buffers.reversed())
    #expect(
      buffers.map(\.name) == ["camera", "two\nlines"] + (recording.isOld ? ["heap"] : [nil, "heap"]))
    #expect(
      buffers.map(\.exporter)
        == Array(repeating: recording.exporter, count: recording.isOld ? 2 : 3) + [recording.heap])
    let (parent, child) = (recording.parent, recording.child)
    guard !recording.isOld else {
      #expect(scan.unidentified == 5 && buffers.allSatisfy { $0.holders.isEmpty })
      return
    }
    let inodes = buffers.map(\.inode)
    #expect(try holders(scan, inodes[0]) == [MemoryScan.Holder(process: parent, descriptors: 2, mappings: 0)])
    #expect(
      try holders(scan, inodes[1])
        == [parent, child].map { MemoryScan.Holder(process: $0, descriptors: 1, mappings: 0) })
    #expect(
      try holders(scan, inodes[2])
        == [parent, child].map { MemoryScan.Holder(process: $0, descriptors: 0, mappings: 1) })
    #expect(scan.processes.map(\.name) == ["record", "record"])
  }

  @Test(arguments: recordings) func withoutAListTheProcessesTell(_ recording: Recording) throws {
    let tree = try tree(recording)
    try tree.remove("sys")
    let scan = try look(tree)
    #expect(scan.list == .processes && scan.disagreements == 0)
    guard !recording.isOld else {
      #expect(scan.unidentified == 5 && scan.bytes == 0)
      return
    }
    // What is mapped alone is like a file of any filesystem that is called so, and is not counted without a witness.
    #expect(scan.strangeMappings == 2 && scan.bytes == recording.bytes - 16384 && scan.buffers.count == 3)
    // Somebody has it open: now it is one. A card's mapping begins at an offset of its own, which is no part of the buffer.
    let number = try #require(try look(self.tree(recording)).buffers.reversed().dropFirst(2).first?.inode)
    try tree.buffer(90, of: "\(recording.child)", inode: number, size: 16384, exporter: recording.exporter)
    let again = try look(tree)
    #expect(again.bytes == recording.bytes && again.strangeMappings == 0 && again.disagreements == 0)
    #expect(
      try holders(again, number) == [
        MemoryScan.Holder(process: recording.parent, descriptors: 0, mappings: 1),
        MemoryScan.Holder(process: recording.child, descriptors: 1, mappings: 1),
      ])
  }
}
