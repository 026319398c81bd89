// SPDX-License-Identifier: Apache-2.0
import Base
import Devices
import Foundation
import MediaCore
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// Every request for a snapshot is answered, once, whatever the service's thread is at when it comes.
@Suite(.ownThread) struct SnapshotServiceTests {
  /// How requests were answered.
  private final class Answers: Sendable {
    let pictures = Atomic<Int>(0)
    let refusals = Mutex<[Errno]>([])
    let answered = DispatchSemaphore(value: 0)

    func take(_ result: Result<[UInt8], Failure>) {
      switch result {
      case .success: pictures.add(1, ordering: .relaxed)
      case .failure(let failure): refusals.withLock { $0.append(failure.errno) }
      }
      answered.signal()
    }
  }

  private func picture(_ pool: Pool) throws -> Frame {
    guard let buffer = pool.take(as: .anonymous) else { throw Failure(.noBufferSpace, "take", on: pool.name) }
    return Frame(buffer, layout: Doubles.layout, pts: 0, sequence: 0, stamps: FrameStamps(captured: 0))
  }

  @Test func aRequestThatComesAsTheThreadGoesToRestIsAnswered() throws {
    let service = SnapshotService({ () throws(Failure) in ScriptedPictureEncoder() }, patience: .seconds(600))
    let pool = try Pool(name: "test", size: Doubles.layout.byteCount, count: 2, allocator: MemfdAllocator())
    let (answers, tap, path) = (Answers(), FrameTap(), Bench.path("venc/0"))
    let frame = try picture(pool)
    let rounds = 20_000
    for round in 0..<rounds {
      service.request(path, tap: tap) { answers.take($0) }
      tap.pass(frame)
      try #require(answers.answered.wait(timeout: .now() + patience) == .success, "request \(round) was never answered")
    }
    #expect(answers.pictures.load(ordering: .relaxed) == rounds, "\(answers.refusals.withLock { $0 })")
    service.close()
    pool.close()
  }

  @Test func oneFrameServesBothForms() throws {
    let service = SnapshotService(
      { () throws(Failure) in ScriptedPictureEncoder() },
      packed: { (frame: borrowing Frame) throws(Failure) in [UInt8](repeating: 7, count: frame.layout.byteCount) },
      patience: .seconds(600))
    let pool = try Pool(name: "test", size: Doubles.layout.byteCount, count: 2, allocator: MemfdAllocator())
    let (answers, tap, path) = (Answers(), FrameTap(), Bench.path("venc/0"))
    service.request(path, .jpeg, tap: tap) { answers.take($0) }
    service.request(path, .raw, tap: tap) { answers.take($0) }
    service.request(path, .raw, tap: tap) { answers.take($0) }
    #expect(answers.refusals.withLock { $0 } == [.resourceBusy])
    #expect(tap.rawFact == nil)
    let frame = try picture(pool)
    tap.pass(frame)
    for _ in 0..<3 { try #require(answers.answered.wait(timeout: .now() + patience) == .success) }
    #expect(answers.pictures.load(ordering: .relaxed) == 2)
    let layout = Doubles.layout
    #expect(tap.rawFact?.value.hasPrefix("\(layout.format) \(layout.width)x\(layout.height), ") == true)
    service.close()
    pool.close()
  }

  @Test func aRequestForWhichNoFrameComesIsRefusedAndTheNextIsTaken() throws {
    let service = SnapshotService { () throws(Failure) in ScriptedPictureEncoder() }
    let pool = try Pool(name: "test", size: Doubles.layout.byteCount, count: 2, allocator: MemfdAllocator())
    let (answers, tap, path) = (Answers(), FrameTap(), Bench.path("venc/0"))
    service.request(path, tap: tap) { answers.take($0) }
    try #require(answers.answered.wait(timeout: .now() + patience) == .success)
    #expect(answers.refusals.withLock { $0 } == [.resourceTemporarilyUnavailable])
    let frame = try picture(pool)
    // One whose frame comes too late, since this thread stood still, is refused in the same way.
    for _ in 0..<20 where answers.pictures.load(ordering: .relaxed) == 0 {
      service.request(path, tap: tap) { answers.take($0) }
      tap.pass(frame)
      try #require(answers.answered.wait(timeout: .now() + patience) == .success)
    }
    #expect(answers.pictures.load(ordering: .relaxed) == 1)
    #expect(answers.refusals.withLock { Set($0) } == [.resourceTemporarilyUnavailable])
    service.close()
    pool.close()
  }

  @Test func anObjectMadeAnewUnderAPathDoesNotWaitForTheOneBefore() throws {
    let service = SnapshotService({ () throws(Failure) in ScriptedPictureEncoder() }, patience: .seconds(600))
    let pool = try Pool(name: "test", size: Doubles.layout.byteCount, count: 2, allocator: MemfdAllocator())
    let (answers, old, new, path) = (Answers(), FrameTap(), FrameTap(), Bench.path("venc/0"))
    service.request(path, tap: old) { answers.take($0) }
    let frame = try picture(pool)
    service.request(path, tap: new) { answers.take($0) }
    new.pass(frame)
    try #require(answers.answered.wait(timeout: .now() + patience) == .success)
    #expect(answers.pictures.load(ordering: .relaxed) == 1)
    // What still waits is answered when the service ends.
    service.close()
    try #require(answers.answered.wait(timeout: .now() + patience) == .success)
    #expect(answers.refusals.withLock { $0 } == [.canceled])
    pool.close()
  }
}
