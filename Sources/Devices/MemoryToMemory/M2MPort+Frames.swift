// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// How a frame and a queue's buffer come together: by the frame's own memory, or by a copy.
extension M2MPort {
  /// Has the queue stream with buffers of this kind of memory: as many as wished, or those it has.
  func prepare(_ memory: BufferMemory, _ wished: Int) throws(KernelError) {
    if count > 0, self.memory != memory {
      if isStreaming { try stop() }
      try release()
    }
    if count == 0 { try allocate(wished, memory) }
    if !isStreaming { try start() }
  }

  /// A buffer that is the frame's own memory, to be queued.
  /// - Parameter isFull: the picture is in it; else the device is to make one there.
  /// - Throws: EBUSY when the driver has all buffers.
  func lend(_ frame: borrowing Frame, isFull: Bool) throws(KernelError) -> QueueBuffer {
    let holder = frame.buffer
    guard let index = takeFree(for: holder.id) else { throw KernelError(.resourceBusy, "QBUF", on: device.path) }
    var buffer = QueueBuffer(index: index, planeCount: format.planes.count)
    for plane in 0..<buffer.planeCount {
      let memory = holder.memory(plane)
      buffer[plane] = .init(
        bytesUsed: isFull ? format.planes[plane].size : 0, length: memory.size, fileDescriptor: memory.fileDescriptor)
    }
    buffer.field = 1
    return buffer
  }

  /// A buffer of the driver's with the frame's picture in it, to be queued.
  /// - Parameters:
  ///   - layout: of the queue's pictures.
  ///   - copied: bytes are added to it.
  /// - Throws: EBUSY when the driver has all buffers; what mapping the frame says. The buffer is free again then.
  func fill(
    from frame: borrowing Frame, as layout: FrameLayout, copied: inout Int
  ) throws(Failure) -> QueueBuffer {
    guard let index = takeFree() else { throw Failure(.resourceBusy, "VIDIOC_QBUF", on: device.path) }
    var buffer = QueueBuffer(index: index, planeCount: format.planes.count)
    let holder = frame.buffer
    let source = frame.layout
    do throws(Failure) {
      copied += try withCPUAccess(to: holder, write: false) { () throws(Failure) in
        try PlaneCopy.copy(
          source, { (memory) throws(Failure) in try Self.pixels(of: holder, memory) }, to: layout,
          { (plane) throws(Failure) in bytes(index, plane: plane) }, on: device.path)
      }
    } catch {
      giveBack(index)
      throw error
    }
    for plane in 0..<buffer.planeCount {
      buffer[plane] = .init(bytesUsed: format.planes[plane].size, length: bytes(index, plane: plane).count)
    }
    buffer.field = 1
    return buffer
  }

  /// Copies the picture in a buffer of the driver's into the frame.
  /// - Returns: bytes copied.
  func copy(_ index: Int, as layout: FrameLayout, to frame: borrowing Frame) throws(Failure) -> Int {
    let holder = frame.buffer
    let target = frame.layout
    return try withCPUAccess(to: holder, write: true) { () throws(Failure) in
      try PlaneCopy.copy(
        layout, { (plane) throws(Failure) in bytes(index, plane: plane) }, to: target,
        { (memory) throws(Failure) in try Self.pixels(of: holder, memory) }, on: device.path)
    }
  }

  private static func pixels(of holder: Buffer, _ memory: Int) throws(Failure) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: try holder.memory(memory).map(), count: holder.memory(memory).size)
  }

  /// Whatever was begun is ended, whether the body fails or not.
  private func withCPUAccess(
    to holder: Buffer, write: Bool, _ body: () throws(Failure) -> Int
  ) throws(Failure) -> Int {
    var begun = 0
    do throws(Failure) {
      while begun < holder.memoryCount {
        try holder.memory(begun).beginCPUAccess(write: write)
        begun += 1
      }
      let result = try body()
      while begun > 0 {
        begun -= 1
        try holder.memory(begun).endCPUAccess(write: write)
      }
      return result
    } catch {
      // The first failure is the one to tell.
      while begun > 0 {
        begun -= 1
        try? holder.memory(begun).endCPUAccess(write: write)
      }
      throw error
    }
  }
}
