// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// The answer to one parked system call: given exactly once, now or later, from any thread.
///
/// NodeFS itself answers when the caller is interrupted (`EINTR`), when the node's deadline passes (`ETIMEDOUT`), when
/// the node is removed (`ENODEV`) and at shutdown; a later answer is then dropped, and whatever it stood for has
/// still happened. A reply that is thrown away unanswered becomes `EIO`.
public final class Reply: Sendable {
  private let isSpent = Atomic<Bool>(false)
  private let finish: @Sendable (Result<Void, NodeError>) -> Bool

  /// - Parameter finish: Gets the first answer; returns whether the caller was still waiting for it.
  init(_ finish: @escaping @Sendable (Result<Void, NodeError>) -> Bool) {
    self.finish = finish
  }

  deinit {
    answer(.failure(NodeError(.ioError, "the handler gave no answer")))
  }

  /// The system call succeeds.
  ///
  /// - Returns: Whether the caller got this answer: false when it was answered before.
  @discardableResult
  public func succeed() -> Bool { answer(.success(())) }

  /// The system call fails with `error`'s errno. Returns as `succeed`.
  @discardableResult
  public func fail(_ error: NodeError) -> Bool { answer(.failure(error)) }

  /// The system call fails with `errno`. Returns as `succeed`.
  @discardableResult
  public func fail(_ errno: Errno, _ reason: String = "") -> Bool { fail(NodeError(errno, reason)) }

  @discardableResult
  func answer(_ result: Result<Void, NodeError>) -> Bool {
    guard !isSpent.exchange(true, ordering: .acquiringAndReleasing) else { return false }
    return finish(result)
  }
}

/// The answer to one `PictureRequest`; as `Reply`, but with the picture.
public final class PictureReply: Sendable {
  private let isSpent = Atomic<Bool>(false)
  private let finish: @Sendable (Result<[UInt8], NodeError>) -> Void

  init(_ finish: @escaping @Sendable (Result<[UInt8], NodeError>) -> Void) {
    self.finish = finish
  }

  deinit {
    answer(.failure(NodeError(.ioError, "the picture was not made")))
  }

  /// Everybody who waits for this picture reads `bytes`.
  ///
  /// - Returns: Whether this was the first answer.
  @discardableResult
  public func succeed(_ bytes: [UInt8]) -> Bool { answer(.success(bytes)) }

  /// `open(2)` fails for everybody who waits for this picture.
  @discardableResult
  public func fail(_ error: NodeError) -> Bool { answer(.failure(error)) }

  @discardableResult
  func answer(_ result: Result<[UInt8], NodeError>) -> Bool {
    guard !isSpent.exchange(true, ordering: .acquiringAndReleasing) else { return false }
    finish(result)
    return true
  }
}
