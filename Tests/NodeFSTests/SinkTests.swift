// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import NodeFS

/// A place for `room` bytes that the test takes from.
private final class Bucket: SinkCursor {
  struct State {
    var room: Int
    var bytes: [UInt8] = []
    var closings = 0
    var refusal: NodeError?
  }
  let state: Mutex<State>
  let signal: StreamSignal

  init(_ signal: StreamSignal, room: Int) {
    self.signal = signal
    state = Mutex(State(room: room))
  }

  func write(_ bytes: UnsafeRawBufferPointer) -> SinkWrite {
    state.withLock {
      if let refusal = $0.refusal { return .failure(refusal) }
      let count = min(bytes.count, $0.room)
      guard count > 0 else { return .wouldBlock }
      $0.bytes += bytes[..<count]
      $0.room -= count
      return .taken(count)
    }
  }

  func close() { state.withLock { $0.closings += 1 } }

  func makeRoom(_ count: Int) {
    state.withLock { $0.room += count }
    signal.readable()
  }

  func refuse(_ error: NodeError) {
    state.withLock { $0.refusal = error }
    signal.readable()
  }

  var text: String { String(decoding: state.withLock { $0.bytes }, as: UTF8.self) }
  var closings: Int { state.withLock { $0.closings } }
}

@Suite(.ownThread) struct SinkTests {
  private func open(room: Int) throws -> (NodeTree, SinkHandle, Bucket) {
    let tree = NodeTree()
    let buckets = Mutexed<[Bucket]>([])
    try tree.root.add(
      "sink",
      .sink { opening in
        let bucket = Bucket(opening.signal, room: room)
        buckets.change { $0.append(bucket) }
        return bucket
      })
    let opening = try tree.open(try tree.find("sink"), flags: O_WRONLY, caller: someone)
    guard case .handle(let handle) = opening else { throw NodeError(.invalidArgument) }
    return (tree, try #require(handle as? SinkHandle), try #require(buckets.value.first))
  }

  private func write(
    _ tree: NodeTree, _ handle: SinkHandle, _ text: String, arm: (UInt64) -> Void = { _ in }
  ) -> Answers<Int> {
    let answers = Answers<Int>()
    let waiting = Array(text.utf8).withUnsafeBytes { SinkHandle.Waiting($0) }
    handle.park(waiting, tree.parked(handle.node, .write, someone) { answers.add(waiting.settle($0)) }, arm: arm)
    return answers
  }

  private func count(_ answers: Answers<Int>) -> Int? {
    guard case .success(let count)? = answers.first() else { return nil }
    return count
  }

  @Test func bytesThatFitAreTakenAtOnce() throws {
    let (tree, handle, bucket) = try open(room: 10)
    #expect(count(write(tree, handle, "hello")) == 5)
    #expect(bucket.text == "hello")
    handle.release()
    #expect(bucket.closings == 1)
  }

  @Test func aWriteWaitsUntilAllOfItIsTakenAndTheNextOneComesAfterIt() throws {
    let (tree, handle, bucket) = try open(room: 3)
    let first = write(tree, handle, "abcdef")
    let second = write(tree, handle, "ghi")
    #expect(first.count == 0 && second.count == 0 && bucket.text == "abc")
    bucket.makeRoom(4)
    #expect(count(first) == 6 && second.count == 0 && bucket.text == "abcdefg")
    bucket.makeRoom(10)
    #expect(count(second) == 3 && bucket.text == "abcdefghi")
  }

  @Test func aWriterWhoIsInterruptedIsToldHowManyBytesWereTaken() throws {
    let (tree, handle, bucket) = try open(room: 3)
    var ids: [UInt64] = []
    let partly = write(tree, handle, "abcdef") { ids.append($0) }
    tree.interrupt(ids[0])
    #expect(count(partly) == 3, "as with a pipe")
    let none = write(tree, handle, "xyz") { ids.append($0) }
    tree.interrupt(ids[1])
    guard case .failure(let error)? = none.first() else {
      Issue.record("an answer without bytes must be an error")
      return
    }
    #expect(error.errno == .interrupted)
    // Nothing of either comes afterwards.
    bucket.makeRoom(100)
    #expect(bucket.text == "abc")
    #expect(count(write(tree, handle, "def")) == 3 && bucket.text == "abcdef")
  }

  @Test func aWriterWhoMustNotWaitGetsWhatFitsOrIsToldToComeAgain() throws {
    let (_, handle, bucket) = try open(room: 3)
    let all = Array("abcdef".utf8)
    #expect(all.withUnsafeBytes { handle.writeNow($0) } == .success(3))
    #expect(all.withUnsafeBytes { handle.writeNow($0) } == .failure(NodeError(.resourceTemporarilyUnavailable)))
    #expect(bucket.text == "abc")
  }

  @Test func aWriteThatWasInterruptedStandsInNobodysWay() throws {
    let (tree, handle, bucket) = try open(room: 0)
    var id: UInt64 = 0
    let interrupted = write(tree, handle, "abc") { id = $0 }
    tree.interrupt(id)
    #expect(interrupted.count == 1)
    // There is room, and the word of it still on its way.
    bucket.state.withLock { $0.room += 10 }
    #expect(Array("def".utf8).withUnsafeBytes { handle.writeNow($0) } == .success(3))
    #expect(bucket.text == "def")
  }

  @Test func aRefusalEndsTheWaitWithItsErrno() throws {
    let (tree, handle, bucket) = try open(room: 0)
    let waiting = write(tree, handle, "abc")
    bucket.refuse(NodeError(.brokenPipe, "closed"))
    guard case .failure(let error)? = waiting.first() else {
      Issue.record("no answer")
      return
    }
    #expect(error.errno == .brokenPipe)
  }

  @Test func removalOfTheNodeAndTheEndOfServingEndTheWait() throws {
    for ending in 0..<2 {
      let (tree, handle, _) = try open(room: 0)
      let waiting = write(tree, handle, "abc")
      if ending == 0 { tree.root.remove("sink") } else { tree.waitingRoom.close(NodeError(.gone)) }
      guard case .failure(let error)? = waiting.first() else {
        Issue.record("no answer")
        return
      }
      #expect(error.errno == .operationNotSupportedByDevice)
      handle.release()
    }
  }

  @Test func itReadsAsEmptyAndIsNotReadAndWritten() throws {
    let tree = NodeTree()
    // Who reads is no writer: the owner is not asked.
    try tree.root.add("sink", .sink { _ in throw NodeError(.resourceBusy) })
    #expect(try tree.openHandle("sink").bytes() == [])
    #expect(errno { _ = try tree.openHandle("sink", flags: O_RDWR) } == .permissionDenied)
  }

  @Test(arguments: 0..<20)
  func interruptsAndRoomThatComeTogetherLoseAndDoubleNoByte(_ round: Int) throws {
    let (tree, handle, bucket) = try open(room: 0)
    let sent = Mutexed<[UInt8]>([])
    let feeder = Thread { for _ in 0..<300 { bucket.makeRoom(3) } }
    feeder.start()
    var next: UInt8 = 0
    for _ in 0..<100 {
      let bytes = (0..<7).map { next &+ UInt8($0) }
      let answers = Answers<Int>()
      let waiting = bytes.withUnsafeBytes { SinkHandle.Waiting($0) }
      var id: UInt64 = 0
      handle.park(waiting, tree.parked(handle.node, .write, someone) { answers.add(waiting.settle($0)) }) { id = $0 }
      tree.interrupt(id)
      let taken = count(answers) ?? 0
      sent.change { $0 += bytes[..<taken] }
      next = next &+ UInt8(taken)
    }
    while !feeder.isFinished { usleep(100) }
    #expect(bucket.state.withLock { $0.bytes } == sent.value)
  }
}
