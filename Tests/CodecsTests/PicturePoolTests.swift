// SPDX-License-Identifier: Apache-2.0
import CPretence
import MediaCore
import TestSupport
import Testing

@testable import Codecs

@Suite(.ownThread) struct PicturePoolTests {
  private static func pool() throws -> PicturePool {
    let pictures = PicturePool(
      DecoderConfiguration(
        codec: .h264, allocator: HeapAllocator(), user: .anonymous, poolName: "test", bufferCount: 2))
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
    try #require(eventually(within: 60) { waiter.isFinished })
    pictures.interrupt()
    #expect(try waiter.value == .noBufferSpace)
    _ = consume first
    _ = consume second
  }

  @Test func aBufferThatComesHomeEndsTheWait() throws {
    let pictures = try Self.pool()
    let first = try pictures.take()
    let second = try pictures.take()
    let index = second.buffer.index
    let waiter = Background { try pictures.take().buffer.index }
    _ = consume second
    #expect(try waiter.value == index)
    _ = consume first
  }

  @Test func anInterruptionEndsTheWait() throws {
    let pictures = try Self.pool()
    let first = try pictures.take()
    let second = try pictures.take()
    let waiter = Background { #expect(throws: Failure.self) { _ = try pictures.take() }?.errno }
    pictures.interrupt()
    #expect(try waiter.value == .canceled)
    _ = consume first
    _ = consume second
  }
}
