// SPDX-License-Identifier: Apache-2.0
import MediaCore
import MediaRuntime
import NodeFS
import Synchronization

/// One reader of `stream` or of one of its other forms: a runtime's reader behind NodeFS's cursor.
final class PacketStream: StreamCursor {
  private let reader: any CodedStream
  private let signal: StreamSignal
  private let failed: @Sendable (Failure) -> Void
  private let hasFailed = Atomic<Bool>(false)

  /// - Parameter failed: told once, when a read fails.
  init(_ reader: any CodedStream, signal: StreamSignal, failed: @escaping @Sendable (Failure) -> Void) {
    self.reader = reader
    self.signal = signal
    self.failed = failed
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> StreamRead {
    switch reader.read(into: buffer) {
    case .bytes(let count): return .bytes(count)
    case .end: return .end
    case .gone: return .failure(.operationNotSupportedByDevice)
    case .failed(let failure):
      if !hasFailed.exchange(true, ordering: .relaxed) { failed(failure) }
      return .failure(failure.errno)
    case .wouldBlock:
      // NodeFS looks once more after it has begun to wait, so a callback that comes at once is not lost.
      let signal = signal
      reader.whenReadable { signal.readable() }
      return .wouldBlock
    }
  }

  func close() { reader.close() }
}
