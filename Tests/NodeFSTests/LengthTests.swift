// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import NodeFS

/// What `stat` says is what comes.
@Suite(.ownThread) struct LengthTests {
  private static let other = Caller(pid: someone.pid + 1, uid: 1000, gid: 1000)

  /// A text that is one byte longer with each render.
  private func tree() throws -> NodeTree {
    let tree = NodeTree()
    let renders = Count()
    let render: Node.Render = { out in out.append(String(repeating: "x", count: renders.next())) }
    try tree.root.add("text", .text(render: render))
    try tree.root.add("setting", .setting(render: render) { $0.reply.succeed() })
    return tree
  }

  private func open(_ tree: NodeTree, _ path: String, flags: CInt = O_RDONLY) throws -> Handle {
    let handle = try tree.openHandle(path, flags: flags)
    _ = tree.opened(handle)
    return handle
  }

  @Test(arguments: ["text", "setting"]) func theLengthToldToAnOpenerIsThatOfTheTextHeReads(path: String) throws {
    let tree = try tree()
    let handle = try open(tree, path)
    let told = tree.size(of: handle.node, for: someone)
    #expect(tree.size(of: handle.node, for: someone) == told, "it was told before")
    #expect(try handle.bytes().count == told)
    #expect(tree.size(of: handle.node, for: someone) == told, "of the text that is being read")
    #expect(try handle.bytes().count == told + 1, "reading from the start again renders again")
    #expect(tree.size(of: handle.node, for: someone) == told + 1)
  }

  @Test func othersAreToldWhatSomebodyWasPromised() throws {
    let tree = try tree()
    let handle = try open(tree, "text")
    let before = tree.size(of: handle.node, for: Self.other)
    let promised = tree.size(of: handle.node, for: someone)
    #expect(promised == before + 1)
    #expect(tree.size(of: handle.node, for: Self.other) == promised)
    _ = try handle.bytes()
    #expect(tree.size(of: handle.node, for: Self.other) == promised + 1, "a promise ends with the read")
  }

  @Test func whatIsWrittenAfterwardsIsRead() throws {
    let tree = try tree()
    let handle = try open(tree, "setting", flags: O_RDWR)
    let told = tree.size(of: handle.node, for: someone)
    #expect(try tree.write([1], to: handle).errors == [])
    #expect(try handle.bytes().count == told + 1)
  }

  @Test func whoAskedJustBeforeOpeningReadsWhatHeWasTold() throws {
    let tree = try tree()
    let node = try tree.find("text")
    // On a machine that takes long between the two the text is made anew.
    let isSame = try eventually {
      let told = tree.size(of: node, for: someone)
      return try tree.openHandle("text").bytes().count == told
    }
    #expect(isSame)
    let told = tree.size(of: node, for: someone)
    tree.noteChange()
    #expect(try tree.openHandle("text").bytes().count == told + 1, "not when something has changed meanwhile")
    let toldToOther = tree.size(of: node, for: Self.other)
    #expect(try tree.openHandle("text").bytes().count == toldToOther + 1, "and not what another one was told")
  }

  @Test func theKernelForgetsWhatItWouldAnswerWrongly() throws {
    let tree = try tree()
    let node = try tree.find("text")
    #expect(!tree.opened(try tree.openHandle("text")), "it was told nothing")
    _ = tree.size(of: node, for: Self.other)
    #expect(tree.opened(try tree.openHandle("text")))
    #expect(!tree.opened(try tree.openHandle("text")), "it has forgotten")
    _ = tree.size(of: node, for: Self.other)
    let reader = try tree.openHandle("text")
    _ = try reader.bytes()
    _ = try reader.bytes()
    #expect(!tree.opened(try tree.openHandle("text")), "it asks by itself after a read")
  }

  @Test func pagesAreLentToOneOpenAtATime() throws {
    let tree = try tree()
    let one = try open(tree, "text")
    let told = tree.size(of: one.node, for: someone)
    func pages(_ handle: Handle) -> Int? { try? tree.pages(of: handle, offset: 0, size: 4096).count }
    #expect(pages(one) == told)
    let two = try open(tree, "text")
    #expect(pages(one) == nil, "the other one may look at them, too")
    #expect(pages(two) == nil)
    _ = try two.bytes()
    #expect(pages(one) == told, "who reads does not")
    #expect(pages(two) == nil)
    #expect(try tree.pages(of: one, offset: Int64(told), size: 4096).count == 0)
    tree.closed(one)
    tree.closed(two)
    let three = try open(tree, "text")
    #expect(pages(three) == nil, "the kernel believes in a shorter text")
    let length = tree.size(of: three.node, for: someone)
    #expect(pages(three) == length)
  }
}

/// What descriptors keep.
@Suite(.ownThread) struct KeptTextTests {
  /// The text is of 64 KiB, and its first byte counts the renders.
  private func tree() throws -> (NodeTree, Mutexed<[Refusal]>) {
    let refusals = Mutexed<[Refusal]>([])
    let tree = NodeTree(owner: .init(uid: 0, gid: 0)) { refusal in refusals.change { $0.append(refusal) } }
    let text = [UInt8](repeating: 65, count: 65536)
    try tree.root.add("text", .text { $0.append(contentsOf: text) })
    return (tree, refusals)
  }

  private func open(_ tree: NodeTree, uid: UInt32) throws -> Handle {
    guard
      case .handle(let handle) = try tree.open(
        try tree.find("text"), flags: O_RDONLY, caller: Caller(pid: 1, uid: uid, gid: uid))
    else { throw NodeError(.invalidArgument) }
    return handle
  }

  @Test func theyAreBoundedInSumAndTheOldestIsGivenUp() throws {
    let (tree, refusals) = try tree()
    let mine = try open(tree, uid: 0)
    _ = try mine.bytes(size: 10)
    let handles = try (0..<1000).map { _ in try open(tree, uid: 1000) }
    for handle in handles { _ = try handle.bytes(size: 10) }
    #expect(tree.keptTexts.bytes <= KeptTexts.most + 2 * 65536)
    // The newest goes on; the oldest is told, and may begin again.
    #expect(try handles[999].bytes(at: 10, size: 10).count == 10)
    let error = errno { _ = try tree.read(handles[0], offset: 10, size: 10, isNonblocking: false, caller: someone) }
    #expect(error == .noMemory)
    #expect(refusals.value.map(\.path) == ["text"] && refusals.value.map(\.operation) == [.read])
    #expect(try handles[0].bytes(at: 65536) == [], "who has had it all comes to the end")
    #expect(try handles[0].bytes(size: 10).count == 10)
    #expect(try handles[0].bytes(at: 10, size: 10).count == 10)
    // The owner's are not taken away by others.
    #expect(try mine.bytes(at: 10, size: 10).count == 10)
    for handle in handles + [mine] { handle.release() }
    #expect(tree.keptTexts.bytes == 0)
  }
}

/// What programs that trust `fstat`, or send files, get of the mounted tree.
@Suite(.ownThread, .enabled(if: whyNoMount == nil, "nothing can be mounted here")) struct FileLengthTests {
  @Test(arguments: ["growing", "picture.ppm"]) func fstatSaysWhatComes(name: String) throws {
    let result = try Sample().run(
      """
      python3 - <<'EOF'
      import os, time
      for ask in ('nothing', 'stat', 'stat', 'nothing', 'read', 'stat', 'late'):
          while True:
              begin = time.monotonic()
              if ask in ('stat', 'late'): os.stat('\(name)')
              if ask == 'read': open('\(name)', 'rb', 0).read()
              f = os.open('\(name)', os.O_RDONLY)
              # Longer than a text is kept for who asked before he opened.
              if ask == 'late': time.sleep(0.2)
              size, text = os.fstat(f).st_size, os.read(f, 7)
              took = time.monotonic() - begin
              while piece := os.read(f, 7): text += piece
              # What the kernel tells from memory is promised for 0.15 s from before the open: slower than that is another try.
              if size == len(text) or took < 0.15 or ask == 'late' or '\(name)' != 'growing': break
              os.close(f)
          print(ask, size == len(text), os.fstat(f).st_size == len(text))
          os.close(f)
      EOF
      """)
    let expected = ["nothing", "stat", "stat", "nothing", "read", "stat", "late"].map { "\($0) True True\n" }.joined()
    #expect(result.out == expected, "\(result)")
  }

  @Test func anotherThreadOfTheOpenerIsToldTheSame() throws {
    let result = try Sample().run(
      """
      python3 - <<'EOF'
      import os, threading, time
      while True:
          begin = time.monotonic()
          f = os.open('growing', os.O_RDONLY)
          told = []
          thread = threading.Thread(target=lambda: told.append(os.fstat(f).st_size))
          thread.start(); thread.join()
          isSame = told[0] == len(os.read(f, 65536))
          # As above.
          if isSame or time.monotonic() - begin < 0.15: break
          os.close(f)
      print(isSame)
      EOF
      """)
    #expect(result.out == "True\n", "\(result)")
  }

  @Test func sendfileSendsWhatFstatSaid() throws {
    let result = try Sample().run(
      """
      python3 - <<'EOF'
      import os
      def send(name):
          # A close is waited for by nobody: while the open before this one is not let go of, this one is refused.
          while True:
              f, out = os.open(name, os.O_RDONLY), os.open('/tmp', os.O_TMPFILE | os.O_RDWR)
              size, sent = os.fstat(f).st_size, 0
              try:
                  while n := os.sendfile(out, f, None, 1 << 20): sent += n
                  return f, out, size, sent
              except OSError as e:
                  if e.errno != 22: raise
                  os.close(f); os.close(out)
      for name in ('hello', 'growing', 'big', 'big', 'picture.ppm', 'picture.ppm', 'growing'):
          f, out, size, sent = send(name)
          text = os.pread(out, 1 << 20, 0)
          renders = {l.split()[1] for l in text.splitlines()} if name != 'picture.ppm' else {1}
          print(name, sent == size == len(text), len(renders), b'\\0' in text)
          os.close(f)
      EOF
      """)
    let names = ["hello", "growing", "big", "big", "picture.ppm", "picture.ppm", "growing"]
    #expect(result.out == names.map { "\($0) True 1 False\n" }.joined(), "\(result)")
  }

  @Test func whoBeginsWithSendfileAndDoesNotAskGetsItAllTheSame() throws {
    let result = try Sample().run(
      "for i in 1 2 3; do stat growing > /dev/null; busybox cat growing | awk '{ n = $2 } END { print n == NR }'; done")
    #expect(result.out == "1\n1\n1\n", "\(result)")
  }

  @Test func twoOpenersNeverMix() throws {
    let result = try Sample().run(
      """
      python3 - <<'EOF'
      import os
      def send(f):
          out, sent = os.open('/tmp', os.O_TMPFILE | os.O_RDWR), 0
          try:
              while n := os.sendfile(out, f, sent, 1 << 20): sent += n
          except OSError as e: return e.errno
          return len({l.split()[1] for l in os.pread(out, 1 << 20, 0).splitlines()}), sent == os.fstat(f).st_size
      one = os.open('big', os.O_RDONLY); os.fstat(one)
      two = os.open('big', os.O_RDONLY); os.fstat(two)
      print(send(one), send(two))
      os.read(two, 10)
      print(send(one))
      EOF
      """)
    #expect(result.out == "22 22\n(1, True)\n", "\(result)")
  }

  @Test func archivesEndWell() throws {
    let result = try Sample().run(
      """
      archive() { tar -c "$@" | tar -x -C /tmp --to-command='wc -l > /dev/null'; echo ${PIPESTATUS[@]}; }
      for i in 1 2 3; do
        # What the kernel tells from memory is promised for 0.15 s from before the open: slower than that is another try.
        while :; do
          begin=$(date +%s%N); said=$(archive growing 2>&1); took=$(($(date +%s%N) - begin))
          if [ "$said" = "0 0" ] || [ $took -lt 150000000 ]; then break; fi
        done
        echo "$said"
        archive picture.ppm press hello
      done
      """)
    #expect(result.out == String(repeating: "0 0\n", count: 6) && result.err.isEmpty, "\(result)")
  }
}
