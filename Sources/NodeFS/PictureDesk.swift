// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Makes the pictures of one node: at most one at a time, shared by everybody who asks meanwhile.
final class PictureDesk: Sendable {
  private struct State {
    var isMaking = false
    var waiting: [Parked<Snapshot>] = []
    /// Bytes of the last picture.
    var lastSize = NodeTree.nominalSize
  }

  /// For `stat(2)`: what the next picture will have is not known.
  var lastSize: Int { state.withLock { $0.lastSize } }

  let deadline: Duration
  private let make: @Sendable (PictureRequest) throws -> Void
  private let state = Mutex(State())

  init(deadline: Duration, make: @escaping @Sendable (PictureRequest) throws -> Void) {
    self.deadline = deadline
    self.make = make
  }

  /// `request` gets the picture that is being made, or one that is started now. `arm` as for `Parked.park`.
  func join(_ request: Parked<Snapshot>, caller: Caller, arm: (UInt64) -> Void) {
    guard request.park(arm: arm) else { return }
    let mustMake = state.withLock {
      $0.waiting.append(request)
      let isIdle = !$0.isMaking
      $0.isMaking = true
      return isIdle
    }
    guard mustMake else { return }
    let reply = PictureReply { self.finish($0) }
    do {
      try make(PictureRequest(caller: caller, reply: reply))
    } catch {
      reply.fail(NodeError(from: error))
    }
  }

  private func finish(_ result: Result<[UInt8], NodeError>) {
    let waiting = state.withLock {
      let waiting = $0.waiting
      $0.waiting = []
      $0.isMaking = false
      if case .success(let bytes) = result { $0.lastSize = bytes.isEmpty ? NodeTree.nominalSize : bytes.count }
      return waiting
    }
    let picture = result.map { Snapshot($0) }
    for request in waiting { request.complete(picture) }
  }
}
