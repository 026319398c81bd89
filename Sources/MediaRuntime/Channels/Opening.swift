// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization
import SystemPackage

/// Opens files and devices on threads of their own, so that whoever starts a channel can be told to give up: a file on
/// storage that is gone, or a driver, may hold its thread inside one system call for as long as it likes.
///
/// Ownership: what is opened belongs to the caller of `open` once that has returned; what comes after it was given up is
/// let go of on the thread that opened it. One caller at a time; `cancel` from any thread.
final class Opening: Sendable {
  /// After so long it is given up. Nanoseconds.
  static let limit: Int64 = .seconds(60)
  /// Threads of one channel that may hang at a time.
  static let threads = 4

  private let hanging = Mutex(0)
  private let current = Mutex<(any Cancellable)?>(nil)

  private protocol Cancellable: AnyObject, Sendable {
    func cancel()
  }

  /// What one thread opens.
  private final class Attempt<Value: Sendable>: Cancellable, Sendable {
    private struct State {
      var outcome: Result<Value, Failure>?
      var isCancelled = false
    }
    private let state = Monitor(State())

    func came(_ new: Result<Value, Failure>) { state.change { if !$0.isCancelled { $0.outcome = new } } }

    func cancel() { state.change { $0.isCancelled = true } }

    /// - Returns: `nil` when it was cancelled, or nothing came until the deadline.
    func wait(until deadline: Int64) -> (outcome: Result<Value, Failure>?, wasCancelled: Bool) {
      _ = state.wait(until: deadline) { $0.isCancelled || $0.outcome != nil ? true : nil }
      return state.withLock { state in
        let taken = state.isCancelled ? nil : state.outcome
        let wasCancelled = state.isCancelled
        // Nothing is taken in any more.
        (state.outcome, state.isCancelled) = (nil, true)
        return (taken, wasCancelled)
      }
    }
  }

  /// Opens something and waits for it.
  /// - Throws: what `body` throws; ECANCELED after `cancel`, ETIMEDOUT after ``limit``, EBUSY when too many threads of
  ///   this channel hang already.
  func open<Value: Sendable>(
    _ name: String, of what: String, _ body: @escaping @Sendable () throws(Failure) -> Value
  ) throws(Failure) -> Value {
    let isFree = hanging.withLock { count in
      guard count < Self.threads else { return false }
      count += 1
      return true
    }
    guard isFree else {
      throw Failure(.resourceBusy, "open", on: what, "\(Self.threads) earlier tries to open something still hang")
    }
    let attempt = Attempt<Value>()
    do throws(Failure) {
      _ = try Thread.start(name) { [self] in
        do throws(Failure) {
          attempt.came(.success(try body()))
        } catch {
          attempt.came(.failure(error))
        }
        hanging.withLock { $0 -= 1 }
      }
    } catch {
      hanging.withLock { $0 -= 1 }
      throw error
    }
    current.withLock { $0 = attempt }
    defer { current.withLock { $0 = nil } }
    let (outcome, wasCancelled) = attempt.wait(until: Clock.now() + Self.limit)
    guard let outcome else {
      throw wasCancelled
        ? Failure(.canceled, "open", on: what, "was given up")
        : Failure(.timedOut, "open", on: what, "has not answered for \(Self.limit / .seconds(1)) s")
    }
    return try outcome.get()
  }

  /// Has `open` come back with ECANCELED.
  func cancel() { current.withLock { $0 }?.cancel() }
}
