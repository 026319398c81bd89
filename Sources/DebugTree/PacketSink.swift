// SPDX-License-Identifier: Apache-2.0
import MediaRuntime
import NodeFS

/// One writer of `feed`: a runtime's writer behind NodeFS's cursor.
final class PacketSink: SinkCursor {
  private let writer: FeedWriter
  private let signal: StreamSignal

  init(_ writer: FeedWriter, signal: StreamSignal) {
    self.writer = writer
    self.signal = signal
  }

  func write(_ bytes: UnsafeRawBufferPointer) -> SinkWrite {
    switch writer.write(bytes) {
    case .taken(let count): return .taken(count)
    case .refused(let refusal):
      let reason = refusal.hint.isEmpty ? refusal.reason : "\(refusal.reason); \(refusal.hint)"
      return .failure(NodeError(refusal.errno, reason))
    case .wouldBlock:
      let signal = signal
      writer.whenWritable { signal.readable() }
      return .wouldBlock
    }
  }

  func close() { writer.close() }
}
