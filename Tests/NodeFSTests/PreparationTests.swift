// SPDX-License-Identifier: Apache-2.0
import Base
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import NodeFS

/// Texts that need something first, which takes longer than a render may.
@Suite(.ownThread) struct PreparationTests {
  /// Something that is had when a test says so.
  private final class Work: Sendable {
    let isDone = Atomic<Bool>(false)
    let waiting = Mutex<[@Sendable () -> Void]>([])

    func preparation(isRequired: Bool = true, deadline: Duration = .seconds(5)) -> Preparation {
      Preparation(
        deadline: deadline, isRequired: isRequired, isDone: { self.isDone.load(ordering: .acquiring) },
        begin: { done in self.waiting.withLock { $0.append(done) } })
    }

    func finish() {
      isDone.store(true, ordering: .releasing)
      let all = waiting.withLock { waiting in
        defer { waiting = [] }
        return waiting
      }
      for done in all { done() }
    }
  }

  private func tree(_ work: Work, isRequired: Bool = true, deadline: Duration = .seconds(5)) throws -> NodeTree {
    let tree = NodeTree()
    try tree.root.add(
      "text",
      Node.text(preparation: work.preparation(isRequired: isRequired, deadline: deadline)) { buffer in
        if work.isDone.load(ordering: .acquiring) { buffer.append("ready\n") } else { buffer.append("stale\n") }
      })
    return tree
  }

  private func preparing(_ tree: NodeTree) throws -> (Node, Preparation) {
    let node = try tree.find("text")
    guard case .preparing(let preparation) = try tree.open(node, flags: 0, caller: someone) else {
      throw NodeError(.invalidArgument, "it did not wait")
    }
    return (node, preparation)
  }

  @Test func anOpenWaitsForWhatTheTextNeeds() throws {
    let work = Work()
    let tree = try tree(work)
    let (node, preparation) = try preparing(tree)
    let answers = Answers<Void>()
    tree.prepare(preparation, of: node, .open, someone, arm: { _ in }, answer: { answers.add($0) })
    #expect(answers.count == 0)
    work.finish()
    #expect(answers.count == 1)
    #expect(try tree.openPrepared(node, caller: someone).text() == "ready\n")
    // What is there already is waited for by nobody.
    #expect(try tree.openHandle("text").text() == "ready\n")
  }

  @Test func aReadFromTheStartOfAKeptDescriptorWaitsAgain() throws {
    let work = Work()
    let tree = try tree(work)
    work.finish()
    let handle = try #require(try tree.openHandle("text") as? TextHandle)
    #expect(handle.missing == nil)
    _ = try handle.text()
    work.isDone.store(false, ordering: .releasing)
    #expect(handle.missing != nil)
  }

  @Test func aTextThatWasPromisedIsReadAsItIs() throws {
    let work = Work()
    let tree = try tree(work)
    work.finish()
    let handle = try #require(try tree.openHandle("text") as? TextHandle)
    _ = try handle.length()
    work.isDone.store(false, ordering: .releasing)
    #expect(handle.missing == nil)
    #expect(try handle.text() == "ready\n")
  }

  @Test(arguments: [true, false])
  func atTheDeadlineItIsAnErrorOnlyWhereNothingCanBeShown(_ isRequired: Bool) throws {
    let work = Work()
    let tree = try tree(work, isRequired: isRequired, deadline: .milliseconds(1))
    let (node, preparation) = try preparing(tree)
    let answers = Answers<Void>()
    tree.prepare(preparation, of: node, .open, someone, arm: { _ in }, answer: { answers.add($0) })
    _ = tree.expireDeadlines(now: Clock.now() + .seconds(1))
    #expect(answers.count == 1)
    #expect(answers.errors == (isRequired ? [.timedOut] : []))
    // It comes too late for that one, and serves the next.
    work.finish()
    #expect(answers.count == 1)
    #expect(try tree.openHandle("text").text() == "ready\n")
  }

  @Test func whoOnlyWritesWaitsForNothing() throws {
    let work = Work()
    let tree = NodeTree()
    try tree.root.add(
      "set", Node.setting(preparation: work.preparation(), render: { $0.append("x\n") }, write: { $0.reply.succeed() }))
    #expect(try tree.openHandle("set", flags: 1) is WriteHandle)
    guard case .preparing = try tree.open(try tree.find("set"), flags: 0, caller: someone) else {
      Issue.record("a reader did not wait")
      return
    }
  }
}
