// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Devices

/// Who holds which DMA-BUF, read from a tree of links and texts as `/proc` has them.
@Suite(.ownThread) struct ProcInspectorTests {
  private let root: String

  init() throws {
    root = FileManager.default.temporaryDirectory.appending(path: "proc-\(UUID().uuidString)").path
  }

  private func descriptor(_ process: String, _ number: Int, _ target: String, _ info: String) throws {
    let files = FileManager.default
    for folder in ["fd", "fdinfo"] {
      try files.createDirectory(atPath: "\(root)/\(process)/\(folder)", withIntermediateDirectories: true)
    }
    try files.createSymbolicLink(atPath: "\(root)/\(process)/fd/\(number)", withDestinationPath: target)
    try info.write(toFile: "\(root)/\(process)/fdinfo/\(number)", atomically: true, encoding: .utf8)
  }

  private static func info(_ inode: Int, count: Int, name: String) -> String {
    "pos:\t0\nflags:\t02000002\nmnt_id:\t14\nino:\t\(inode)\nsize:\t8192\ncount:\t\(count)\nexp_name:\tsystem\nname:\t\(name)\n"
  }

  @Test func ownDescriptorsAreTold() throws {
    defer { try? FileManager.default.removeItem(atPath: root) }
    try descriptor("self", 7, "/dmabuf:vi0-0", Self.info(41, count: 2, name: "vi0-0"))
    try descriptor("self", 9, "/dmabuf:", "pos:\t0\nsize:\t4096\nexp_name:\tudmabuf\nino:\t42\n")
    // Nobody follows what is none: it may hang.
    try descriptor("self", 11, "/nowhere/that/is", "pos:\t0\n")
    try descriptor("self", 12, "socket:[77]", "")
    try "7f00-7f01 rw-s 00000000 00:0e 41 /dmabuf:vi0-0\n7f02-7f03 rw-p 00000000 00:00 41 /memfd:a (deleted)\n"
      .write(toFile: "\(root)/self/maps", atomically: true, encoding: .utf8)
    let inspector = ProcInspector(root: root)
    #expect(
      try inspector.descriptors() == [
        HeldDescriptor(descriptor: 7, inode: 41, buffer: .init(size: 8192, count: 2, name: "vi0-0")),
        HeldDescriptor(descriptor: 9, inode: 42, buffer: .init(size: 4096, count: nil, name: "")),
      ])
    #expect(inspector.mappings(of: [41, 42]) == [41: 1])
  }

  @Test func othersAreNamedWithThePid() throws {
    defer { try? FileManager.default.removeItem(atPath: root) }
    try descriptor("123", 3, "/dmabuf:vi0-0", Self.info(41, count: 3, name: "vi0-0"))
    // Twice, and another one.
    try descriptor("123", 4, "/dmabuf:vi0-0", Self.info(41, count: 3, name: "vi0-0"))
    try descriptor("124", 4, "/dmabuf:", Self.info(99, count: 1, name: ""))
    try descriptor("\(getpid())", 4, "/dmabuf:vi0-0", Self.info(41, count: 3, name: ""))
    try "gst-launch-1.0\n".write(toFile: "\(root)/123/comm", atomically: true, encoding: .utf8)
    let (found, unreadable) = ProcInspector(root: root).holders(of: [41, 42])
    #expect(found.count == 1 && found[41]?.count == 1 && unreadable == 0)
    #expect(found[41]?.first?.process == 123 && found[41]?.first?.name == "gst-launch-1.0")
  }

  @Test func aMachineThatDoesNotTellIsSaid() {
    let failure = #expect(throws: Failure.self) { try ProcInspector(root: root).descriptors() }
    #expect(failure?.errno == .noSuchFileOrDirectory)
    #expect(ProcInspector(root: root).holders(of: [1]).found.isEmpty)
  }

  @Test func thisProcessIsRead() throws {
    let memory = try MemfdAllocator().allocate(size: 4096, label: "inspected")
    let found = try ProcInspector().descriptors()
    #expect(found.contains { $0.descriptor == memory.fileDescriptor && $0.inode == memory.inode && $0.buffer == nil })
  }
}
