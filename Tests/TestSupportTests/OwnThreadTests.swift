// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import TestSupport

@Suite(.ownThread) struct OwnThreadTests {
  /// The kernel's name of this thread: the first 15 bytes of what it was given.
  private func threadName() throws -> String {
    try String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8).trimmingCharacters(in: .newlines)
  }

  @Test func aTestHasItsThread() throws {
    #expect(try threadName() == "aTestHasItsThre")
  }

  @Test func anAsynchronousTestStaysOnItsThread() async throws {
    #expect(try threadName() == "anAsynchronousT")
    await Task.yield()
    let child = try await withCheckedThrowingContinuation { continuation in
      _ = Background("elsewhere") { continuation.resume(with: Result { try threadName() }) }
    }
    #expect(child == "elsewhere")
    #expect(try threadName() == "anAsynchronousT")
  }

  @Test func workBesideATestMayBlockAndIsWaitedFor() throws {
    let (start, ends) = (CountingSemaphore(), 3)
    let work = (0..<ends).map { number in
      Background {
        start.wait()
        return number
      }
    }
    #expect(work.allSatisfy { !$0.isFinished })
    for _ in work { start.signal() }
    #expect(try work.map { try $0.value } == [0, 1, 2])
    // Whoever asks again is told again.
    #expect(try work[0].value == 0)
  }

  @Test func aTestOverItsLimitEndsTheRunAndIsNamedWithItsStack() async {
    let result = await #expect(processExitsWith: .exitCode(1), observing: [\.standardErrorContent]) {
      _ = RunningTests.shared.begin("quick", limit: .seconds(1000))
      _ = RunningTests.shared.begin("stuck", limit: .zero)
      pause()
    }
    let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(said.contains("✘ Test stuck recorded an issue: it exceeds its time limit of 0 s\n"), "\(said)")
    #expect(said.contains("begun and not ended: quick, for "))
    #expect(said.contains("threads of "))
  }
}
