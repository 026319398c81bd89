// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import NodeFS

/// Bytes that a producer adds and one reader takes.
private final class Pipe: StreamCursor {
  struct State {
    var bytes: [UInt8] = []
    var hasEnded = false
    var closings = 0
    var errno: Errno?
  }
  let state = Mutex(State())
  let signal: StreamSignal
  /// Runs inside of a read, before it looks.
  let inside: @Sendable () -> Void

  init(_ signal: StreamSignal, inside: @escaping @Sendable () -> Void = {}) {
    self.signal = signal
    self.inside = inside
  }

  func add(_ bytes: [UInt8]) {
    state.withLock { $0.bytes += bytes }
    signal.readable()
  }

  func end() {
    state.withLock { $0.hasEnded = true }
    signal.readable()
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> StreamRead {
    inside()
    return state.withLock {
      if let errno = $0.errno { return .failure(errno) }
      if $0.bytes.isEmpty { return $0.hasEnded ? .end : .wouldBlock }
      let count = min(buffer.count, $0.bytes.count)
      buffer.copyBytes(from: $0.bytes[..<count])
      $0.bytes.removeFirst(count)
      return .bytes(count)
    }
  }

  func close() { state.withLock { $0.closings += 1 } }

  var closings: Int { state.withLock { $0.closings } }
}

@Suite(.ownThread) struct StreamTests {
  private func open(_ inside: @escaping @Sendable () -> Void = {}) throws -> (NodeTree, StreamHandle, Pipe) {
    let tree = NodeTree()
    let pipes = Mutexed<[Pipe]>([])
    try tree.root.add(
      "stream",
      .stream { opening in
        let pipe = Pipe(opening.signal, inside: inside)
        pipes.change { $0.append(pipe) }
        return pipe
      })
    let handle = try #require(try tree.openHandle("stream") as? StreamHandle)
    return (tree, handle, try #require(pipes.value.first))
  }

  private func wait(
    _ tree: NodeTree, _ handle: StreamHandle, size: Int = 100, arm: (UInt64) -> Void = { _ in }
  ) -> Answers<Slice> {
    let answers = Answers<Slice>()
    handle.park(tree.parked(handle.node, .read, someone) { answers.add($0) }, size: size, arm: arm)
    return answers
  }

  private func text(_ answers: Answers<Slice>) -> String? {
    guard case .success(let slice)? = answers.first() else { return nil }
    return String(decoding: slice.bytes, as: UTF8.self)
  }

  @Test func aReadTakesWhatIsThere() throws {
    let (_, handle, pipe) = try open()
    pipe.add(Array("abcdef".utf8))
    #expect(try handle.text(size: 4) == "abcd")
    #expect(try handle.text(size: 4) == "ef")
  }

  @Test func withoutBlockingItIsEAGAIN() throws {
    let (_, handle, _) = try open()
    #expect(errno { _ = try handle.bytes() } == .resourceTemporarilyUnavailable)
  }

  @Test func aParkedReadIsAnsweredByTheProducer() throws {
    let (tree, handle, pipe) = try open()
    let answers = wait(tree, handle)
    #expect(answers.count == 0 && tree.activity.parked == 1)
    pipe.add(Array("now".utf8))
    #expect(text(answers) == "now")
    #expect(tree.activity.parked == 0)
    let last = wait(tree, handle)
    pipe.end()
    #expect(text(last) == "", "the end of the stream")
  }

  @Test func whoCameFirstIsServedFirst() throws {
    let (tree, handle, pipe) = try open()
    let answers = [wait(tree, handle, size: 1), wait(tree, handle, size: 2), wait(tree, handle, size: 1)]
    pipe.add(Array("abcd".utf8))
    #expect(answers.map { text($0) } == ["a", "bc", "d"])
  }

  @Test func aFailureOfTheCursorIsTheAnswer() throws {
    let (tree, handle, pipe) = try open()
    let answers = wait(tree, handle)
    pipe.state.withLock { $0.errno = .ioError }
    pipe.signal.readable()
    _ = answers.first()
    #expect(answers.errors == [.ioError])
  }

  @Test func interruptRemovalReleaseAndShutdownEndTheWait() throws {
    let (tree, handle, pipe) = try open()
    var id: UInt64 = 0
    let interrupted = wait(tree, handle) { id = $0 }
    tree.interrupt(id)
    #expect(interrupted.errors == [.interrupted])
    pipe.add([1])
    #expect(try handle.bytes() == [1], "what came after belongs to the next read")

    let released = wait(tree, handle)
    handle.release()
    #expect(released.errors == [.interrupted])
    #expect(pipe.closings == 1)

    let (other, open, kept) = try self.open()
    let removed = wait(other, open)
    other.root.remove("stream")
    #expect(removed.errors == [.operationNotSupportedByDevice])
    #expect(errno { _ = try open.bytes() } == .operationNotSupportedByDevice)
    open.release()
    #expect(kept.closings == 1)

    let (third, last, _) = try self.open()
    let shut = wait(third, last)
    third.waitingRoom.close(NodeError(.gone))
    #expect(shut.errors == [.operationNotSupportedByDevice])
  }

  @Test func aReadThatWasInterruptedStandsInNobodysWay() throws {
    let (tree, handle, pipe) = try open()
    var id: UInt64 = 0
    let interrupted = wait(tree, handle) { id = $0 }
    tree.interrupt(id)
    #expect(interrupted.errors == [.interrupted])
    // There is something, and the word of it still on its way.
    pipe.state.withLock { $0.bytes += Array("abc".utf8) }
    #expect(try handle.text() == "abc")
  }

  @Test func bytesTakenForAnInterruptedReaderGoToTheNext() throws {
    let (id, trees) = (Mutexed<UInt64>(0), Mutexed<[NodeTree]>([]))
    // The signal arrives in the very moment the cursor is read for the caller.
    let (tree, handle, pipe) = try open { trees.value.first?.interrupt(id.value) }
    let answers = wait(tree, handle, size: 3) { number in id.change { $0 = number } }
    trees.change { $0 = [tree] }
    pipe.add(Array("abcdef".utf8))
    #expect(answers.errors == [.interrupted])
    #expect(try handle.text(size: 2) == "ab")
    #expect(try handle.text(size: 9) == "c")
    #expect(try handle.text(size: 9) == "def")
  }

  @Test func noSignalIsLost() throws {
    let (tree, handle, pipe) = try open()
    let total = 20_000
    let received = Mutexed<[UInt8]>([])
    onThreads(2) { thread in
      if thread == 0 {
        for number in 0..<total { pipe.add([UInt8(number & 0xff)]) }
        pipe.end()
        return
      }
      while true {
        let answers = Answers<Slice>()
        if case .slice(let slice)? = try? handle.read(offset: 0, size: 64, isNonblocking: false) {
          answers.add(.success(slice))
        } else {
          handle.park(tree.parked(handle.node, .read, someone) { answers.add($0) }, size: 64) { _ in }
        }
        guard case .success(let slice)? = answers.first(), slice.count > 0 else { return }
        let bytes = slice.bytes
        received.change { $0 += bytes }
      }
    }
    #expect(received.value.count == total)
    #expect(received.value.enumerated().allSatisfy { $0.element == UInt8($0.offset & 0xff) })
  }

  @Test func interruptsNeverLoseOrReorderBytes() throws {
    let (tree, handle, pipe) = try open()
    let total = 5000
    let ids = Mutexed<UInt64>(0)
    let received = Mutexed<[UInt8]>([])
    let isOver = Mutexed(false)
    onThreads(3) { thread in
      switch thread {
      case 0:
        for number in 0..<total { pipe.add([UInt8(number & 0xff)]) }
        pipe.end()
      case 1:
        while !isOver.value { tree.interrupt(ids.value) }
      default:
        while true {
          let answers = Answers<Slice>()
          if case .slice(let slice)? = try? handle.read(offset: 0, size: 8, isNonblocking: false) {
            answers.add(.success(slice))
          } else {
            handle.park(tree.parked(handle.node, .read, someone) { answers.add($0) }, size: 8) { id in
              ids.change { $0 = id }
            }
          }
          guard let answer = answers.first() else { break }
          guard case .success(let slice) = answer else { continue }
          if slice.count == 0 { break }
          let bytes = slice.bytes
          received.change { $0 += bytes }
        }
        isOver.change { $0 = true }
      }
    }
    #expect(received.value.count == total)
    #expect(received.value.enumerated().allSatisfy { $0.element == UInt8($0.offset & 0xff) })
  }
}
