// SPDX-License-Identifier: Apache-2.0
import MediaCore
import NodeFS

extension NodeError {
  /// The errno the writer gets; the reason is in the error log already.
  init(_ refusal: MediaCore.Refusal) { self.init(refusal.errno, refusal.reason) }
}

extension Reply {
  /// Answers with what `apply` said.
  func answer(_ refusal: MediaCore.Refusal?) {
    if let refusal {
      fail(NodeError(refusal))
    } else {
      succeed()
    }
  }
}
