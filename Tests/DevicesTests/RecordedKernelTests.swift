// SPDX-License-Identifier: Apache-2.0
import Foundation
import Reports
import TestSupport
import Testing

@testable import Devices

/// What kernels of several series showed of the same four buffers, written down byte by byte in guests (`Recorded/`): two of
/// `udmabuf` with names, one of `udmabuf` that is mapped and open nowhere, one of the system heap. A process has all of them,
/// the first by two descriptors; its child has the second and the mapping.
@Suite(.ownThread) struct RecordedKernelTests {
  struct Recording: Sendable, CustomTestStringConvertible {
    var series: String
    var parent: Int32
    var child: Int32
    /// Debian's 5.10 has no dma-heap.
    var hasHeap = true
    var tellsInodes = true
    var testDescription: String { "linux \(series)" }
    var bytes: UInt64 { 28672 + (hasHeap ? 12288 : 0) }
  }

  static let recordings = [
    Recording(series: "6.12.117", parent: 98, child: 100), Recording(series: "7.2.13", parent: 159, child: 161),
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
    let names = ["camera", "two\nlines", nil] + (recording.hasHeap ? ["heap"] : [])
    // The newest first.
    #expect(
      scan.buffers.reversed().map(\.exporter) == ["udmabuf", "udmabuf", "udmabuf"]
        + (recording.hasHeap ? ["system"] : []))
    let (parent, child) = (recording.parent, recording.child)
    guard recording.tellsInodes else {
      #expect(scan.unidentified == 4)
      return
    }
    #expect(scan.buffers.reversed().map(\.name) == names)
    let inodes = scan.buffers.reversed().map(\.inode)
    #expect(try holders(scan, inodes[0]) == [MemoryScan.Holder(process: parent, descriptors: 2, mappings: 0)])
    #expect(
      try holders(scan, inodes[1])
        == [parent, child].map { MemoryScan.Holder(process: $0, descriptors: 1, mappings: 0) })
    #expect(
      try holders(scan, inodes[2])
        == [parent, child].map { MemoryScan.Holder(process: $0, descriptors: 0, mappings: 1) })
    #expect(scan.processes.map(\.name) == ["record", "record"])
  }

  @Test(arguments: recordings) func withoutAListTheProcessesAloneComeToTheSame(_ recording: Recording) throws {
    let tree = try tree(recording)
    try tree.remove("sys")
    let scan = try look(tree)
    #expect(scan.list == .processes && scan.disagreements == 0)
    guard recording.tellsInodes else { return }
    #expect(scan.bytes == recording.bytes && scan.buffers.count == (recording.hasHeap ? 4 : 3))
    #expect(scan.buffers.filter(\.isLowerBound).map(\.size) == [16384], "open nowhere")
  }
}
