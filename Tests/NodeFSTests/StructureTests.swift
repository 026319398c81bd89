// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import NodeFS

@Suite(.ownThread) struct StructureTests {
  private func text(_ text: String = "x\n") -> Node { .text { $0.append(text) } }

  @Test func aDirectoryAppearsWithItsContent() throws {
    let tree = NodeTree()
    let object = Directory()
    try object.add("value", text())
    #expect(tree.nodeCount == 1)
    try tree.root.add("0", object)
    #expect(tree.nodeCount == 3)
    #expect(try tree.find("0/value").path == "0/value")
  }

  @Test func impossibleNamesAreRefused() throws {
    let tree = NodeTree()
    for name in ["", ".", "..", "a/b", "a\0b", String(repeating: "n", count: 256)] {
      #expect(errno { try tree.root.add(name, text()) } == .invalidArgument, "\(name)")
    }
    #expect(errno { try tree.root.add(String(repeating: "n", count: 255), text()) } == nil)
  }

  @Test func aNameIsTakenOnce() throws {
    let tree = NodeTree()
    try tree.root.add("a", text())
    #expect(errno { try tree.root.add("a", text()) } == .fileExists)
  }

  @Test func inodesAreNeverUsedAgain() throws {
    let tree = NodeTree()
    var seen: Set<UInt64> = []
    for _ in 0..<100 {
      let node = text()
      try tree.root.add("a", node)
      #expect(seen.insert(try tree.find("a").ino).inserted)
      tree.root.remove("a")
    }
  }

  @Test func aRemovedNodeIsESTALEByNumberAndENOENTByName() throws {
    let tree = NodeTree()
    let object = Directory()
    let value = text()
    try object.add("value", value)
    try tree.root.add("0", object)
    tree.root.remove("0")
    #expect(errno { _ = try tree.find("0") } == .noSuchFileOrDirectory)
    #expect(errno { _ = try tree.node(value.ino) } == .staleNFSFileHandle)
    #expect(errno { _ = try tree.node(object.ino) } == .staleNFSFileHandle)
    #expect(errno { _ = try tree.open(value, flags: O_RDONLY, caller: someone) } == .staleNFSFileHandle)
    #expect(errno { try object.add("late", text()) } == .operationNotSupportedByDevice)
    #expect(errno { try tree.root.add("0", value) } == .invalidArgument)
    #expect(tree.nodeCount == 1)
  }

  @Test func aFileHasManyNames() throws {
    let tree = NodeTree()
    let node = text()
    try tree.root.add("a", node)
    try tree.root.add("b", node)
    #expect(node.links.load(ordering: .relaxed) == 2)
    #expect(try tree.find("a").ino == tree.find("b").ino)
    tree.root.remove("a")
    #expect(!node.isRemoved)
    #expect(node.path == "b")
    tree.root.remove("b")
    #expect(node.isRemoved)
  }

  @Test func aDirectoryHasOnePlace() throws {
    let tree = NodeTree()
    let directory = Directory()
    try tree.root.add("a", directory)
    #expect(errno { try tree.root.add("b", directory) } == .invalidArgument)
    let outer = Directory()
    let inner = Directory()
    try outer.add("inner", inner)
    #expect(errno { try inner.add("outer", outer) } == .tooManySymbolicLinkLevels)
    #expect(errno { try NodeTree().root.add("a", Node.alias(of: tree)) } == .invalidArgument)
  }

  @Test func listingIsStableWhileEntriesComeAndGo() throws {
    let tree = NodeTree()
    for number in 0..<20 { try tree.root.add("n\(number)", text()) }
    try tree.root.add("stream", .stream { _ in throw NodeError(.ioError) })
    let handle = DirectoryHandle(tree.root)
    var names = try handle.entries(from: 0).prefix(5).map(\.name)
    tree.root.remove("n3")
    tree.root.remove("n12")
    try tree.root.add("new", text())
    names += try handle.entries(from: 5).map(\.name)
    #expect(names == (0..<20).map { "n\($0)" })
    #expect(try handle.entries(from: 99).isEmpty)
    let again = try handle.entries(from: 0).map(\.name)
    #expect(again.contains("new") && !again.contains("n3") && !again.contains("stream"))
    #expect(tree.root.names.contains("stream"))
  }

  @Test func changesFromManyThreadsLeaveAWholeTree() throws {
    let tree = NodeTree()
    onThreads(8) { thread in
      for round in 0..<300 {
        let name = "\(round % 4)"
        let object = Directory()
        _ = try? object.add("value", .text { $0.append("x") })
        if (try? tree.root.add(name, object)) == nil { tree.root.remove(name) }
        if let found = try? tree.find("\(name)/value"),
          let handle = try? tree.open(found, flags: O_RDONLY, caller: someone)
        {
          if case .handle(let handle) = handle { _ = try? handle.bytes() }
        }
        _ = try? object.add("late", .text { $0.append("x") })
      }
    }
    for name in tree.root.names { tree.root.remove(name) }
    #expect(tree.nodeCount == 1)
  }
}

extension Node {
  /// A directory that belongs to `tree` already.
  static func alias(of tree: NodeTree) -> Node { tree.root }
}
