// SPDX-License-Identifier: Apache-2.0
import MediaRuntime
import NodeFS

/// One reader of `stream`: a runtime's reader behind NodeFS's cursor.
final class PacketStream: StreamCursor {
  private let reader: StreamReader
  private let signal: StreamSignal

  init(_ reader: StreamReader, signal: StreamSignal) {
    self.reader = reader
    self.signal = signal
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> StreamRead {
    switch reader.read(into: buffer) {
    case .bytes(let count): return .bytes(count)
    case .end: return .end
    case .gone: return .failure(.operationNotSupportedByDevice)
    case .wouldBlock:
      // NodeFS looks once more after it has begun to wait, so a callback that comes at once is not lost.
      let signal = signal
      reader.whenReadable { signal.readable() }
      return .wouldBlock
    }
  }

  func close() { reader.close() }
}
