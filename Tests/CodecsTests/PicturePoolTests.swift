// SPDX-License-Identifier: Apache-2.0
import CPretence
import MediaCore
import TestSupport
import Testing

@testable import Codecs

@Suite(.ownThread) struct PicturePoolTests {
  private static func pool(patience: Int64 = PicturePool.patience) throws -> PicturePool {
    let pictures = PicturePool(
      DecoderConfiguration(
        codec: .h264, allocator: HeapAllocator(), user: .anonymous, poolName: "test", bufferCount: 2),
      patience: patience)
    try pictures.prepare(size: 4096)
    return pictures
  }

  @Test func settingTheClockBackStretchesNoWait() throws {
    let pictures = try Self.pool()
    // The graph holds them all.
    let first = try pictures.take()
    let second = try pictures.take()
    let waiter = Background {
      // What a wait that has begun sees of a clock that is set back: its end lies an hour ahead.
      pretend_wall_clock_ahead(3600)
      return #expect(throws: Failure.self) { _ = try pictures.take() }?.errno
    }
    try #require(eventually { waiter.isFinished })
    pictures.interrupt()
    #expect(try waiter.value == .noBufferSpace)
    _ = consume first
    _ = consume second
  }

  /// Longer than any machine keeps the one who ends a wait from it.
  private static let long: Int64 = 3_600_000_000_000

  @Test func aBufferThatComesHomeEndsTheWait() throws {
    let pictures = try Self.pool(patience: Self.long)
    let first = try pictures.take()
    let second = try pictures.take()
    let index = second.buffer.index
    let waiter = Background { try pictures.take().buffer.index }
    try #require(eventually { pictures.pool?.waits ?? 0 > 0 })
    _ = consume second
    #expect(try waiter.value == index)
    _ = consume first
  }

  @Test func anInterruptionEndsTheWait() throws {
    let pictures = try Self.pool(patience: Self.long)
    let first = try pictures.take()
    let second = try pictures.take()
    let waiter = Background { #expect(throws: Failure.self) { _ = try pictures.take() }?.errno }
    try #require(eventually { pictures.pool?.waits ?? 0 > 0 })
    pictures.interrupt()
    #expect(try waiter.value == .canceled)
    _ = consume first
    _ = consume second
  }
}
