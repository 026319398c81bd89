// SPDX-License-Identifier: Apache-2.0

/// What a text is rendered from where that takes longer than a render may: who opens the node, or reads it from its start
/// again, waits for it without holding a serving thread.
///
/// `stat(2)` waits for nothing: it tells the length of what was there last.
public struct Preparation: Sendable {
  let deadline: Duration
  let isRequired: Bool
  let isDone: @Sendable () -> Bool
  let begin: @Sendable (@escaping @Sendable () -> Void) -> Void

  /// - Parameters:
  ///   - deadline: how long somebody waits.
  ///   - isRequired: at the deadline the caller gets `ETIMEDOUT`; otherwise he gets the text as it can be rendered.
  ///   - isDone: what is there is good enough now. Asked on a serving thread.
  ///   - begin: has it done, and calls back from any thread, once.
  public init(
    deadline: Duration = .seconds(5), isRequired: Bool = true, isDone: @escaping @Sendable () -> Bool,
    begin: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
  ) {
    self.deadline = deadline
    self.isRequired = isRequired
    self.isDone = isDone
    self.begin = begin
  }
}

extension NodeTree {
  /// Has `answer` called when a node's text can be rendered, with nobody waiting for it meanwhile.
  /// - Parameter arm: as for `Parked.park`.
  func prepare(
    _ preparation: Preparation, of node: Node, _ operation: Refusal.Operation, _ caller: Caller, arm: (UInt64) -> Void,
    answer: @escaping @Sendable (Result<Void, NodeError>) -> Void
  ) {
    let parked: Parked<Void> = parked(node, operation, caller, deadline: preparation.deadline) { result in
      if case .failure(let error) = result, error.errno == .timedOut, !preparation.isRequired {
        return answer(.success(()))
      }
      answer(result)
    }
    guard parked.park(arm: arm) else { return }
    preparation.begin { parked.complete(.success(())) }
  }

  /// Opens a node whose text has just been prepared, so that no text made before is taken for it.
  func openPrepared(_ node: Node, caller: Caller) throws(NodeError) -> Handle {
    switch node.kind {
    case .text(let render), .setting(let render, _): return TextHandle(node, render: render, tree: self, opener: caller)
    default: throw NodeError(.badFileDescriptor)
    }
  }
}

extension TextHandle {
  /// What has to be had before the next read at offset 0; nil where it is there, or the text is.
  var missing: Preparation? {
    guard let preparation = node.preparation, promisedLength == nil, !preparation.isDone() else { return nil }
    return preparation
  }
}
