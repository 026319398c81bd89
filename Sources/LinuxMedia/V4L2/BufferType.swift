// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// One of a device's queues. CAPTURE: data that comes out of the device; OUTPUT: data that goes into it.
public enum BufferType: UInt32, Sendable, Hashable {
  case capture = 1
  case output = 2
  case captureMultiplanar = 9
  case outputMultiplanar = 10

  public var isMultiplanar: Bool { self == .captureMultiplanar || self == .outputMultiplanar }
  public var isOutput: Bool { self == .output || self == .outputMultiplanar }
}

/// Where a queue's buffers live.
public enum BufferMemory: UInt32, Sendable, Hashable {
  /// The driver allocates; exported as DMA-BUFs with EXPBUF.
  case mmap = 1
  /// DMA-BUFs from elsewhere, imported at every QBUF.
  case dmabuf = 4
}
