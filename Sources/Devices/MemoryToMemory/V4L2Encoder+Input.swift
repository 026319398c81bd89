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
    try raw.prepare(memory, max(V4L2Encoder.rawBuffers, controls.rawBuffersNeeded + configuration.depth))
    // Where as many as before are there, those before hold nothing: the memory changes only when nothing is inside.
    if held.count != raw.count { held = (0..<raw.count).map { _ in HeldPicture() } }
  }

  private func importFrame(_ frame: borrowing Frame) throws(KernelError) {
    let buffer = try raw.lend(frame, isFull: true)
    try enqueue(buffer, frame.pts)
    held[buffer.index].ref = frame.ref.share(as: frame.ref.user)
  }

  private func copyFrame(_ frame: borrowing Frame) throws(Failure) {
    var copied = 0
    let buffer = try raw.fill(from: frame, as: layout, copied: &copied)
    bytesCopied += UInt64(copied)
    let pts = frame.pts
    try asFailure { () throws(KernelError) in try enqueue(buffer, pts) }
  }

  private func enqueue(_ buffer: consuming QueueBuffer, _ pts: Int64) throws(KernelError) {
    let cookie = next
    next += 1
    buffer.cookie = cookie
    try raw.enqueue(buffer)
    waiting.append((cookie, pts))
  }
}
