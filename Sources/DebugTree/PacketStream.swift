// SPDX-License-Identifier: Apache-2.0
import MediaRuntime
import NodeFS

/// One reader of `stream` or of one of its other forms: a runtime's reader behind NodeFS's cursor.
final class PacketStream: StreamCursor {
  private let reader: any CodedStream
  private let signal: StreamSignal

  init(_ reader: any CodedStream, signal: StreamSignal) {
    self.reader = reader
    self.signal = signal
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> StreamRead {
    switch reader.read(into: buffer) {
    case .bytes(let count): return .bytes(count)
    case .end: return .end
    case .gone: return .failure(.operationNotSupportedByDevice)
    case .failed(let failure): return .failure(failure.errno)
    case .wouldBlock:
      // NodeFS looks once more after it has begun to wait, so a callback that comes at once is not lost.
      let signal = signal
      reader.whenReadable { signal.readable() }
      return .wouldBlock
    }
  }

  func close() { reader.close() }
}
