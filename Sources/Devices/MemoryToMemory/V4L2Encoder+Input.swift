// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// How a frame gets into the device.
extension V4L2Encoder {
  /// Hands the frame to the device: imported if it can be, else copied.
  func put<Sink: PacketSink & ~Copyable>(_ frame: borrowing Frame, _ sink: inout Sink) throws(Failure) {
    guard frame.layout.format == layout.format, frame.layout.width == Int32(configuration.width),
      frame.layout.height == Int32(configuration.height)
    else {
      throw Failure(
        .invalidArgument, "VIDIOC_QBUF", on: device.path,
        "\(frame.layout.width)x\(frame.layout.height) \(frame.layout.format) came")
    }
    if !importRefused, raw.canImport(frame, as: layout) {
      if raw.memory != .dmabuf { try settle(below: 1, &sink) }
      do throws(KernelError) {
        try prepare(.dmabuf)
        try importFrame(frame)
        return
      } catch {
        if error.errno == .deviceGone { throw Failure(error) }
        // The importer wants other memory (contiguous, below 4 GiB): copied from now on, and said.
        importRefused = true
        remarks.append("import refused, copying: \(error)")
      }
    }
    if raw.memory != .mmap { try settle(below: 1, &sink) }
    try asFailure { () throws(KernelError) in try prepare(.mmap) }
    try copyFrame(frame)
  }

  /// Makes the raw queue stream with this kind of memory.
  private func prepare(_ memory: BufferMemory) throws(KernelError) {
    if raw.count > 0, raw.memory != memory {
      if raw.isStreaming { try raw.stop() }
      try raw.release()
    }
    if raw.count == 0 {
      try raw.allocate(max(V4L2Encoder.rawBuffers, controls.rawBuffersNeeded + configuration.depth), memory)
      held = (0..<raw.count).map { _ in HeldPicture() }
    }
    if !raw.isStreaming { try raw.start() }
  }

  private func importFrame(_ frame: borrowing Frame) throws(KernelError) {
    let memories = frame.buffer
    guard let index = raw.takeFree(for: memories.id) else { throw KernelError(.resourceBusy, "QBUF", on: device.path) }
    var buffer = QueueBuffer(index: index, planeCount: raw.format.planes.count)
    for plane in 0..<buffer.planeCount {
      let memory = plane == 0 ? memories.memory : memories.linked[plane - 1]
      buffer[plane] = .init(
        bytesUsed: raw.format.planes[plane].size, length: memory.size, fileDescriptor: memory.fileDescriptor)
    }
    try enqueue(&buffer, frame.pts)
    held[index].ref = frame.ref.share(as: frame.ref.user)
  }

  private func copyFrame(_ frame: borrowing Frame) throws(Failure) {
    guard let index = raw.takeFree() else { throw Failure(.resourceBusy, "VIDIOC_QBUF", on: device.path) }
    var buffer = QueueBuffer(index: index, planeCount: raw.format.planes.count)
    do throws(Failure) {
      try copyPlanes(frame, to: index)
    } catch {
      raw.giveBack(index)
      throw error
    }
    for plane in 0..<buffer.planeCount {
      buffer[plane] = .init(
        bytesUsed: raw.format.planes[plane].size, length: raw.bytes(index, plane: plane).count)
    }
    let pts = frame.pts
    try asFailure { () throws(KernelError) in try enqueue(&buffer, pts) }
  }

  private func copyPlanes(_ frame: borrowing Frame, to index: Int) throws(Failure) {
    let holder = frame.buffer
    let port = raw
    for memory in 0..<holder.memoryCount { try holder.memory(memory).beginCPUAccess(write: false) }
    bytesCopied += UInt64(
      try PlaneCopy.copy(
        frame.layout,
        { (memory) throws(Failure) in
          UnsafeMutableRawBufferPointer(start: try holder.memory(memory).map(), count: holder.memory(memory).size)
        }, to: layout, { (plane) throws(Failure) in port.bytes(index, plane: plane) }, on: device.path))
    for memory in 0..<holder.memoryCount { try holder.memory(memory).endCPUAccess(write: false) }
  }

  private func enqueue(_ buffer: inout QueueBuffer, _ pts: Int64) throws(KernelError) {
    let cookie = next
    next += 1
    // Seconds and microseconds below a million: drivers that count in nanoseconds or in microseconds give it back whole.
    buffer.timestamp = (cookie / 1_000_000, cookie % 1_000_000)
    buffer.field = 1
    try raw.enqueue(buffer)
    waiting.append((cookie, pts))
  }
}
