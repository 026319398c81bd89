// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore
import Synchronization

/// What reports may know of a decoder, on any thread. Written by its worker when it changes, which is seldom: never for a
/// picture that came out well.
final class DecoderStatus: Sendable {
  struct Content: Sendable {
    var layout: FrameLayout?
    var memoryKind = ""
    var pool: CapturePool?
    var counters = DecoderCounters()
    var remarks: [String] = []
    var isBroken = false
  }
  private let content = Mutex(Content())

  var now: Content { content.withLock { $0 } }

  func change(_ body: (inout Content) -> Void) { content.withLock { body(&$0) } }

  /// Says something once.
  func remark(_ text: String) { change { if !$0.remarks.contains(text) { $0.remarks.append(text) } } }
}
