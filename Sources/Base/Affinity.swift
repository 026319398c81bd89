// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Whose some state is at the moment: one worker's while it is at a task, one card's thread's, one control lane's. There is
/// no lock in it. It checks, in debug builds, what the house promises itself: that no two threads are ever in there at once,
/// and that who touches the state has come in. Free in a release build.
///
/// A thread comes in with ``enter()`` and goes with ``leave()``, or stays for good; ``Confined`` keeps the state with it.
public final class Affinity: Sendable {
  #if DEBUG
    private let owner = Atomic<UInt>(0)
    // Of the owner.
    private nonisolated(unsafe) var depth = 0
  #endif

  public init() {}

  /// The state is the calling thread's from now on. May be nested; the end of the program where it is another thread's.
  @inlinable @inline(__always) public func enter(file: StaticString = #fileID, line: UInt = #line) {
    #if DEBUG
      take(file, line)
    #endif
  }

  /// The end of one `enter`, by the same thread.
  @inlinable @inline(__always) public func leave(file: StaticString = #fileID, line: UInt = #line) {
    #if DEBUG
      give(file, line)
    #endif
  }

  /// Runs with the state being the calling thread's.
  @inlinable @inline(__always) public func within<Result, Thrown: Error>(
    file: StaticString = #fileID, line: UInt = #line, _ body: () throws(Thrown) -> Result
  ) throws(Thrown) -> Result {
    enter(file: file, line: line)
    defer { leave(file: file, line: line) }
    return try body()
  }

  /// The end of the program where the state is not the calling thread's.
  @inlinable @inline(__always) public func assertIsCurrent(file: StaticString = #fileID, line: UInt = #line) {
    #if DEBUG
      check(file, line)
    #endif
  }

  /// The end of the program where the state is the calling thread's already.
  @inlinable @inline(__always) func assertIsNotCurrent() {
    #if DEBUG
      refuse()
    #endif
  }

  #if DEBUG
    @usableFromInline func take(_ file: StaticString, _ line: UInt) {
      let own = UInt(pthread_self())
      let (isTaken, other) = owner.compareExchange(expected: 0, desired: own, ordering: .acquiring)
      precondition(isTaken || other == own, "another thread is in there", file: file, line: line)
      depth += 1
    }

    @usableFromInline func give(_ file: StaticString, _ line: UInt) {
      check(file, line)
      depth -= 1
      if depth == 0 { owner.store(0, ordering: .releasing) }
    }

    @usableFromInline func refuse() {
      precondition(owner.load(ordering: .relaxed) != UInt(pthread_self()), "this thread is in there already")
    }

    @usableFromInline func check(_ file: StaticString, _ line: UInt) {
      precondition(
        owner.load(ordering: .relaxed) == UInt(pthread_self()), "not this thread's at the moment", file: file,
        line: line)
    }
  #endif
}

/// State that belongs to whoever is in an ``Affinity``: every access asserts it in debug builds.
public final class Confined<Value: ~Copyable>: @unchecked Sendable {
  // `@unchecked`: of one thread at a time, as the affinity says.
  @usableFromInline let affinity: Affinity
  @usableFromInline let state = UnsafeMutablePointer<Value>.allocate(capacity: 1)

  public init(_ value: consuming Value, to affinity: Affinity) {
    self.affinity = affinity
    state.initialize(to: value)
  }

  deinit {
    state.deinitialize(count: 1)
    state.deallocate()
  }

  // By address: a coroutine takes memory at every access in an unoptimised build.
  @inlinable public var value: Value {
    unsafeAddress {
      affinity.assertIsCurrent()
      return UnsafePointer(state)
    }
    unsafeMutableAddress {
      affinity.assertIsCurrent()
      return state
    }
  }
}
