// SPDX-License-Identifier: Apache-2.0
#if canImport(Testing)
  public import Testing

  extension Trait where Self == OwnThread {
    /// Every test of the suite runs on a thread of its own, with a time limit.
    public static var ownThread: Self { OwnThread(limit: .seconds(300)) }

    /// The same with another time limit.
    public static func ownThread(limit: Duration) -> Self { OwnThread(limit: limit) }
  }

  /// Runs each test (each case of a parameterised one) on a POSIX thread made for it.
  ///
  /// Swift's cooperative pool has as many threads as the machine has cores, and a test that blocks one of them (a semaphore, a child
  /// process, a mount) keeps it from every other test: with two cores, two such tests stop the run for good when what would
  /// wake them is itself queued on the pool. Here whatever blocks, blocks its own thread only, synchronous tests included.
  ///
  /// As many run at once as ``TestSlots`` has; a test that exceeds its limit ends the process (see ``RunningTests``).
  public struct OwnThread: SuiteTrait, TestTrait, TestScoping {
    let limit: Duration

    public var isRecursive: Bool { true }

    public func provideScope(
      for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
      // Suites have no body; a test is scoped once for each of its cases.
      guard testCase != nil else { return try await function() }
      await TestSlots.shared.acquire()
      defer { TestSlots.shared.release() }
      let name = "\(test.id.nameComponents.joined(separator: "/")) (\(test.sourceLocation.fileName))"
      let thread = TestThread(name: test.name)
      defer { thread.end() }
      let running = RunningTests.shared.begin(name, limit: limit)
      defer { RunningTests.shared.end(running) }
      try await withTaskExecutorPreference(thread, operation: function)
    }
  }
#endif
