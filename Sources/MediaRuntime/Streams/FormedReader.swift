// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Synchronization

/// One reader of a channel's stream in another form than it is coded in.
///
/// The form's bytes are made here, of the pictures the reader takes, when it reads: a channel nobody reads so pays nothing, and
/// a reader that stalls has at most one picture's bytes waiting. Where it begins, and what it loses when it is too slow, is its
/// ``StreamReader``'s.
final class FormedReader: CodedStream, @unchecked Sendable {
  // `@unchecked`: what is not a lock's is used by `read` only, which one thread at a time calls.

  private enum Readiness {
    /// What the form needs is being loaded; who waits for that.
    case loading((@Sendable () -> Void)?)
    case ready
    case failed(Failure)
  }

  private let reader: StreamReader
  private let form: any PictureForm
  private let readiness = Mutex(Readiness.ready)
  private let isClosed = Atomic<Bool>(false)
  /// Bytes are there, or an end: set by `read`, so that a wait does not begin.
  private let isPending = Atomic<Bool>(false)

  private var picture: [UInt8] = []
  private var made: [UInt8] = []
  private var taken = 0
  /// What every read comes to from now on.
  private var ending: StreamReader.Outcome?

  init(_ reader: StreamReader, _ form: any PictureForm) {
    self.reader = reader
    self.form = form
  }

  // MARK: what it needs is loaded

  /// From now on it waits for ``loaded(_:)``.
  func awaitLoading() { readiness.withLock { $0 = .loading(nil) } }

  func loaded(_ failure: Failure?) {
    let waiter = readiness.withLock { readiness in
      guard case .loading(let waiter) = readiness else { return nil as (@Sendable () -> Void)? }
      readiness = failure.map { .failed($0) } ?? .ready
      return waiter
    }
    waiter?()
  }

  // MARK: CodedStream

  func read(into target: UnsafeMutableRawBufferPointer) -> StreamReader.Outcome {
    var filled = 0
    var idle = StreamReader.Outcome.wouldBlock
    while filled < target.count {
      filled += give(into: UnsafeMutableRawBufferPointer(rebasing: target[filled...]))
      if filled == target.count { break }
      if let outcome = makeMore() {
        idle = outcome
        break
      }
    }
    isPending.store(taken < made.count || ending != nil, ordering: .releasing)
    return filled > 0 || target.count == 0 ? .bytes(filled) : idle
  }

  func whenReadable(_ body: @escaping @Sendable () -> Void) {
    let isLoading = readiness.withLock { readiness in
      guard case .loading = readiness else { return false }
      readiness = .loading(body)
      return true
    }
    if isLoading { return }
    if isPending.load(ordering: .acquiring) || hasFailed {
      body()
    } else {
      reader.whenReadable(body)
    }
  }

  func close() {
    readiness.withLock { if case .loading = $0 { $0 = .loading(nil) } }
    leave()
  }

  /// Takes nothing more. The channel need not wait for it then, nor count what it does not take.
  private func leave() {
    if !isClosed.exchange(true, ordering: .acquiringAndReleasing) { reader.close() }
  }

  private var hasFailed: Bool {
    readiness.withLock { if case .failed = $0 { true } else { false } }
  }

  // MARK: one picture at a time

  private func give(into target: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(made.count - taken, target.count)
    guard count > 0 else { return 0 }
    made.withUnsafeBytes {
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[taken..<taken + count]))
    }
    taken += count
    return count
  }

  /// Makes the bytes of the next picture.
  /// - Returns: why there are none; `nil` where there are.
  private func makeMore() -> StreamReader.Outcome? {
    if let ending { return ending }
    switch readiness.withLock({ $0 }) {
    case .loading: return .wouldBlock
    case .failed(let failure): return end(.failed(failure))
    case .ready: break
    }
    switch reader.next(into: &picture) {
    case .wouldBlock: return .wouldBlock
    case .end: return .end
    case .gone: return .gone
    case .picture(let found):
      made.removeAll(keepingCapacity: true)
      taken = 0
      do throws(Failure) {
        let goesOn = try put(found)
        return goesOn ? nil : end(.end)
      } catch {
        return end(.failed(error))
      }
    }
  }

  private func put(_ found: StreamReader.Picture) throws(Failure) -> Bool {
    let result: Result<Bool, Failure> = picture.withUnsafeBytes { bytes in
      do throws(Failure) { return .success(try form.put(found, bytes, into: &made)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  private func end(_ outcome: StreamReader.Outcome) -> StreamReader.Outcome {
    ending = outcome
    leave()
    return outcome
  }
}
