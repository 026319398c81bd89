// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Synchronization

/// The file a decoder channel plays. It is opened anew for each pass: not every container finds its way back exactly, and by
/// then the file may be another one, or have been away.
final class VdecFile: Sendable {
  private struct State {
    var source: any PacketSource
    var isInterrupted = false
  }
  private let state: Mutex<State>
  private let open: @Sendable () throws(Failure) -> any PacketSource

  /// - Parameter open: opens it, at once and for each later pass; may hang as the file may.
  init(_ open: @escaping @Sendable () throws(Failure) -> any PacketSource) throws(Failure) {
    self.open = open
    state = Mutex(State(source: try open()))
  }

  /// What is read now.
  var source: any PacketSource { state.withLock { $0.source } }

  /// From its first unit. By the channel's worker.
  func reopen() throws(Failure) {
    let new = try open()
    let isInterrupted = state.withLock { state in
      state.source = new
      return state.isInterrupted
    }
    if isInterrupted { new.interrupt() }
  }

  /// Ends a blocked read, and every later one at once, for good. From any thread.
  func interrupt() {
    let source = state.withLock { state in
      state.isInterrupted = true
      return state.source
    }
    source.interrupt()
  }
}
