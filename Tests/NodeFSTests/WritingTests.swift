// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import NodeFS

@Suite(.ownThread) struct WritingTests {
  private func tree(
    limit: Int = 16, wholeWrites: Bool = false, _ run: @escaping @Sendable (WriteRequest) throws -> Void
  )
    throws -> (NodeTree, Handle, Mutexed<[Refusal]>)
  {
    let refusals = Mutexed<[Refusal]>([])
    let tree = NodeTree { refusal in refusals.change { $0.append(refusal) } }
    try tree.root.add(
      "command", .command(limit: limit, wholeWrites: wholeWrites, deadline: .milliseconds(1), write: run))
    return (tree, try tree.openHandle("command", flags: O_WRONLY), refusals)
  }

  @Test func aWriteReachesTheHandlerRaw() throws {
    let seen = Mutexed<[WriteRequest]>([])
    let (tree, handle, _) = try tree { request in
      seen.change { $0.append(request) }
      request.reply.succeed()
    }
    let answers = try tree.write(Array("on\n".utf8), to: handle, at: 256)
    #expect(answers.errors == [] && answers.count == 1)
    let request = try #require(seen.value.first)
    #expect(request.bytes == Array("on\n".utf8) && request.offset == 256 && request.caller == someone)
    #expect(tree.activity.bytesWritten == 3)
    #expect(tree.activity.parked == 0)
  }

  @Test func aThrownErrorIsTheAnswer() throws {
    let (tree, handle, refusals) = try tree { _ in throw NodeError(.outOfRange, "0 to 5") }
    #expect(try tree.write([1], to: handle).errors == [.outOfRange])
    #expect(refusals.value.isEmpty, "handlers know their own errors")
  }

  @Test func aForgottenReplyIsEIO() throws {
    let (tree, handle, _) = try tree { _ in }
    #expect(try tree.write([1], to: handle).errors == [.ioError])
  }

  @Test func tooLongIsE2BIGAndTheHandlerDoesNotSeeIt() throws {
    let calls = Count()
    let (tree, handle, refusals) = try tree(limit: 16) { request in
      calls.next()
      request.reply.succeed()
    }
    #expect(try tree.write([UInt8](repeating: 1, count: 16), to: handle).errors == [])
    #expect(errno { _ = try tree.write([UInt8](repeating: 2, count: 17), to: handle) } == .argListTooLong)
    #expect(calls.now == 1)
    let refusal = try #require(refusals.value.first)
    #expect(refusal.path == "command" && refusal.operation == .write && refusal.bytes.count == 17)
  }

  @Test func wholeWritesAreAtOffsetZero() throws {
    let (tree, handle, refusals) = try tree(wholeWrites: true) { $0.reply.succeed() }
    #expect(try tree.write([1], to: handle).errors == [])
    #expect(errno { _ = try tree.write([1], to: handle, at: 4096) } == .invalidArgument)
    #expect(refusals.value.count == 1)
  }

  @Test func afterARefusalTheRestOfAWholeTextIsNoTextOfItsOwn() throws {
    let calls = Count()
    let (tree, handle, refusals) = try tree(wholeWrites: true) { request in
      calls.next()
      if request.bytes == [9] { throw NodeError(.outOfRange, "nine") }
      request.reply.succeed()
    }
    #expect(try tree.write([1], to: handle).errors == [])
    #expect(try tree.write([9], to: handle).errors == [.outOfRange])
    #expect(errno { _ = try tree.write([1], to: handle) } == .outOfRange)
    #expect(calls.now == 2, "the handler saw what came after")
    #expect(refusals.value.last?.error.reason.contains("open the file again") ?? false)
    // Others go on as before, and so does who opens it anew.
    #expect(try tree.write([1], to: WriteHandle(handle.node)).errors == [])
    // What is one value a write is refused and taken write by write.
    let (single, open, _) = try self.tree { request in
      if request.bytes == [9] { throw NodeError(.outOfRange, "nine") }
      request.reply.succeed()
    }
    #expect(try single.write([9], to: open).errors == [.outOfRange])
    #expect(try single.write([1], to: open).errors == [])
  }

  @Test func theAnswerMayComeLaterFromAnotherThread() throws {
    let kept = Mutexed<[Reply]>([])
    let (tree, handle, _) = try tree { request in kept.change { $0.append(request.reply) } }
    let answers = try tree.write([1], to: handle)
    #expect(answers.count == 0)
    #expect(tree.activity.parked == 1)
    onThreads(1) { _ in kept.value.first?.succeed() }
    #expect(answers.count == 1 && answers.errors == [])
    #expect(tree.activity.parked == 0)
  }

  @Test func overdueIsETIMEDOUTAndTheWorkGoesOn() throws {
    let kept = Mutexed<[Reply]>([])
    let (tree, handle, refusals) = try tree { request in kept.change { $0.append(request.reply) } }
    let answers = try tree.write([1], to: handle)
    let before = try tree.find("command").modified.load(ordering: .relaxed)
    #expect(tree.expireDeadlines(now: .max) == .max)
    #expect(answers.errors == [.timedOut])
    #expect(refusals.value.map(\.error.errno) == [.timedOut])
    #expect(tree.activity.timeouts == 1)
    #expect(kept.value.first?.succeed() == false, "a late answer is dropped")
    #expect(answers.count == 1)
    #expect(try tree.find("command").modified.load(ordering: .relaxed) >= before)
  }

  @Test func interruptRemovalAndShutdownReleaseTheCaller() throws {
    let kept = Mutexed<[Reply]>([])
    let (tree, handle, _) = try tree { request in kept.change { $0.append(request.reply) } }
    var id: UInt64 = 0
    let interrupted = try tree.write([1], to: handle) { id = $0 }
    tree.interrupt(id)
    #expect(interrupted.errors == [.interrupted])
    let removed = try tree.write([1], to: handle)
    tree.root.remove("command")
    #expect(removed.errors == [.operationNotSupportedByDevice])
    #expect(errno { _ = try tree.write([1], to: handle) } == .operationNotSupportedByDevice)

    let (other, open, _) = try self.tree { request in kept.change { $0.append(request.reply) } }
    let waiting = try other.write([1], to: open)
    other.waitingRoom.close(NodeError(.gone))
    #expect(waiting.errors == [.operationNotSupportedByDevice])
    #expect(try other.write([1], to: open).errors == [.operationNotSupportedByDevice], "nobody may wait any more")
  }

  @Test func anInterruptWhileTheRequestIsArmedWaitsForIt() throws {
    let calls = Count()
    let (tree, handle, _) = try tree { request in
      calls.next()
      request.reply.succeed()
    }
    let early = Count()
    let answers = Answers<Void>()
    let parked: Parked<Void> = tree.parked(handle.node, .write, someone) { answers.add($0) }
    guard
      case .command(let command) = try tree.write(
        UnsafeRawBufferPointer(start: nil, count: 0), at: 0, to: handle, caller: someone)
    else { return }
    tree.run(command, through: handle, [], at: 0, caller: someone, parked: parked) { id in
      // As libfuse does when the signal came before the function was set.
      tree.interrupt(id)
      if answers.count > 0 { early.next() }
    }
    #expect(early.now == 0, "the request would have been freed inside of libfuse")
    #expect(answers.errors == [.interrupted])
    #expect(calls.now == 0, "an interrupted command is not run")
  }

  @Test func everyRequestIsAnsweredOnceUnderRaces() throws {
    let kept = Mutexed<[Reply]>([])
    let (tree, handle, _) = try tree { request in kept.change { $0.append(request.reply) } }
    for _ in 0..<300 {
      var id: UInt64 = 0
      let answers = try tree.write([1], to: handle) { id = $0 }
      let (number, reply) = (id, kept.value.last)
      onThreads(4) { thread in
        switch thread {
        case 0: reply?.succeed()
        case 1: tree.interrupt(number)
        case 2: _ = tree.expireDeadlines(now: .max)
        default: reply?.fail(.ioError)
        }
      }
      #expect(answers.count == 1)
      kept.change { $0 = [] }
    }
    #expect(tree.activity.parked == 0)
  }

  @Test func anAcceptedWriteChangesTheModificationTime() throws {
    let (tree, handle, _) = try tree { request in
      if request.bytes.isEmpty { throw NodeError(.invalidArgument) }
      request.reply.succeed()
    }
    let node = try tree.find("command")
    node.modified.store(0, ordering: .relaxed)
    _ = try tree.write([], to: handle)
    #expect(node.modified.load(ordering: .relaxed) == 0)
    _ = try tree.write([1], to: handle)
    #expect(node.modified.load(ordering: .relaxed) > 0)
  }
}

/// A value under a lock that closures can share.
final class Mutexed<Value: Sendable>: Sendable {
  private let mutex: Mutex<Value>
  init(_ value: Value) { mutex = Mutex(value) }
  var value: Value { mutex.withLock { $0 } }
  func change(_ body: @Sendable (inout Value) -> Void) { mutex.withLock { body(&$0) } }
}
