// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import NodeFS

@Suite(.ownThread) struct RefusalTests {
  private func tree() throws -> (NodeTree, Mutexed<[Refusal]>) {
    let refusals = Mutexed<[Refusal]>([])
    let tree = NodeTree { refusal in refusals.change { $0.append(refusal) } }
    try tree.root.add("text", .text { _ in }).add(
      "setting",
      .setting { _ in
      } write: {
        $0.reply.succeed()
      })
    try tree.root.add("command", .command { $0.reply.succeed() }).add("blob", .blob { _ in })
    try tree.root.add("sink", .sink { _ in throw NodeError(.resourceBusy) })
    try tree.root.add("stream", .stream { _ in throw NodeError(.noSuchProcess) }).add("link", .symlink(to: "text"))
    return (tree, refusals)
  }

  @Test(arguments: [
    ("text", O_WRONLY, Errno.permissionDenied), ("text", O_RDWR, .permissionDenied),
    ("stream", O_RDWR, .permissionDenied),
    ("blob", O_RDWR, .permissionDenied),
  ])
  func whatNoCallerMayOpenIsEACCESAndReported(path: String, flags: CInt, expected: Errno) throws {
    let (tree, refusals) = try tree()
    #expect(errno { _ = try tree.openHandle(path, flags: flags) } == expected)
    #expect(refusals.value.map(\.path) == [path])
    #expect(refusals.value.map(\.error.errno) == [expected])
  }

  @Test func aSettingOpensInEveryWay() throws {
    let (tree, refusals) = try tree()
    for flags in [O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_WRONLY | O_APPEND] {
      #expect(errno { _ = try tree.openHandle("setting", flags: flags) } == nil)
    }
    #expect(refusals.value.isEmpty)
  }

  @Test(arguments: ["command", "blob", "sink"]) func whatOnlyTakesWritesReadsAsEmpty(path: String) throws {
    let (tree, refusals) = try tree()
    let handle = try tree.openHandle(path)
    #expect(try handle.bytes() == [])
    #expect(try handle.bytes(at: 5) == [])
    #expect(tree.size(of: handle.node, for: someone) == 0)
    #expect(refusals.value.isEmpty)
  }

  @Test func aMistypedNameIsENOENTAndNamesTheNearest() throws {
    let (tree, refusals) = try tree()
    let error = tree.refuse(.create, "comand", in: tree.root, caller: someone)
    #expect(error.errno == .noSuchFileOrDirectory)
    #expect(refusals.value.map(\.path) == ["comand"])
    #expect(
      refusals.value.first?.error.reason
        == "there is no such file; there are, the nearest first: command blob sink link text stream setting")
    #expect(tree.refuse(.unlink, "text", in: tree.root, caller: someone).errno == .notPermitted)
  }

  @Test func theErrorOfAStreamsOpenIsItsOwn() throws {
    let (tree, refusals) = try tree()
    #expect(errno { _ = try tree.openHandle("stream") } == .noSuchProcess)
    #expect(refusals.value.isEmpty)
  }

  @Test func lengthsAndTimesMayBeSetModesAndOwnersMayNot() throws {
    let (tree, refusals) = try tree()
    func set(_ path: String, _ change: AttributeChange) -> Errno? {
      errno { try tree.checkAttributes(try tree.find(path), change: change, caller: someone) }
    }
    #expect(set("setting", .size) == nil)
    #expect(set("command", .size) == nil)
    #expect(set("text", []) == nil)
    #expect(set("text", .size) == .permissionDenied)
    #expect(set("setting", .mode) == .notPermitted)
    #expect(set("setting", .uid) == .notPermitted)
    #expect(refusals.value.map(\.operation) == [.truncate, .changeMode, .changeOwner])
  }

  @Test func directoriesWithoutHooksRefuseMkdirAndRmdirWithEPERM() throws {
    let (tree, refusals) = try tree()
    try tree.root.add("objects", Directory())
    #expect(errno { _ = try tree.makeHook(of: tree.root, "new", caller: someone) } == .notPermitted)
    #expect(errno { _ = try tree.makeHook(of: tree.root, "text", caller: someone) } == .fileExists)
    #expect(errno { _ = try tree.removeHook(of: tree.root, "objects", caller: someone) } == .notPermitted)
    #expect(errno { _ = try tree.removeHook(of: tree.root, "text", caller: someone) } == .notDirectory)
    #expect(errno { _ = try tree.removeHook(of: tree.root, "none", caller: someone) } == .noSuchFileOrDirectory)
    #expect(refusals.value.map(\.path) == ["new", "objects"])
  }

  @Test func mkdirAndRmdirGoThroughTheHooks() throws {
    let objects = Directory { request in
      switch request.name {
      case "bad": throw NodeError(.invalidArgument)
      case "lie": break
      default: try request.directory.add(request.name, Directory())
      }
      request.reply.succeed()
    } remove: { request in
      if request.name == "busy" { throw NodeError(.resourceBusy) }
      request.reply.succeed()
    }
    let tree = NodeTree()
    try tree.root.add("objects", objects)
    func make(_ name: String) throws -> Answers<Node> {
      let answers = Answers<Node>()
      let hook = try tree.makeHook(of: objects, name, caller: someone)
      let parked: Parked<Node> = tree.parked(objects, .makeDirectory, someone) { answers.add($0) }
      tree.make(name, in: objects, with: hook, caller: someone, parked: parked) { _ in }
      return answers
    }
    func remove(_ name: String) throws -> Answers<Void> {
      let answers = Answers<Void>()
      let (hook, node) = try tree.removeHook(of: objects, name, caller: someone)
      let parked: Parked<Void> = tree.parked(objects, .removeDirectory, someone) { answers.add($0) }
      tree.remove(name, node, from: objects, with: hook, caller: someone, parked: parked) { _ in }
      return answers
    }
    #expect(try make("1").errors == [])
    #expect(try make("busy").errors == [])
    #expect(try make("bad").errors == [.invalidArgument])
    #expect(try make("lie").errors == [.ioError], "success without an entry")
    #expect(errno { _ = try make("1") } == .fileExists)
    #expect(try remove("busy").errors == [.resourceBusy])
    #expect(try remove("1").errors == [])
    #expect(objects.names == ["busy"])
  }
}

@Suite(.ownThread) struct MountTableTests {
  @Test func mountinfoIsParsed() throws {
    let text = """
      22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
      42 22 0:39 / /tmp/a\\040b rw,nosuid shared:7 master:1 - fuse.mpifs mpifs:10728 rw,user_id=0
      43 22 0:40 / /tmp/a\\040b rw - fuse.mpifs other:1 rw
      44 22 broken
      45 22 0:41 / /x rw - fuse.mpifs mpifs rw
      """
    let entries = MountTableEntry.parse(text)
    #expect(entries.map(\.mountPoint) == ["/", "/tmp/a b", "/tmp/a b", "/x"])
    #expect(entries[1].minor == 39 && entries[1].type == "fuse.mpifs" && entries[1].source == "mpifs:10728")
    #expect(entries[1].server(name: "mpifs") == (true, 10728))
    #expect(entries[1].server(name: "mpi") == (false, nil))
    #expect(entries[2].server(name: "mpifs") == (false, nil))
    #expect(entries[3].server(name: "mpifs") == (true, nil))
    #expect(MountTableEntry.all().contains { $0.mountPoint == "/proc" })
  }
}
