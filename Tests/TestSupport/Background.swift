// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Work on a thread of its own, for what a test has to have going on beside itself. Anything in it may block.
///
///     let reader = Background { try source.next() }
///     source.interrupt()
///     #expect(try reader.value == nil)
public final class Background<Value: Sendable>: Sendable {
  private let outcome = Mutex<Result<Value, any Error>?>(nil)
  private let finished = CountingSemaphore()

  public init(_ name: String = "background", _ work: @escaping @Sendable () throws -> Value) {
    startThread(name: name) {
      let result = Result { try work() }
      self.outcome.withLock { $0 = result }
      self.finished.signal()
    }
  }

  /// Whether the work has ended.
  public var isFinished: Bool { outcome.withLock { $0 != nil } }

  /// What came of the work; waits for its end. A test of a suite with the trait `ownThread` waits on a thread of its own.
  public var value: Value {
    get throws {
      finished.wait()
      // For whoever asks next.
      finished.signal()
      guard let outcome = outcome.withLock({ $0 }) else { preconditionFailure("signalled before the outcome was kept") }
      return try outcome.get()
    }
  }
}

/// Runs a piece of work on several threads at once and waits for all of them.
public func onThreads(_ count: Int, _ name: String = "background", _ work: @escaping @Sendable (Int) -> Void) {
  let threads = (0..<count).map { index in Background("\(name)\(index)") { work(index) } }
  for thread in threads { _ = try? thread.value }
}
