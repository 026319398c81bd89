// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// The end of a stream, and seeking.
extension DecoderRun {
  func drain<Sink: FrameSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    guard let stream, drained.state == .running else { return }
    isDrainedOnce = true
    // A stream of so few units that the device has said nothing yet.
    while pictures == nil, inside > 0 {
      try checkInterrupt()
      if try !pump(stream, silenceLeft, into: &sink).moved { try judgeSilence() }
    }
    let bothStream = stream.isStreaming && pictures?.isStreaming ?? false
    let answer = try asFailure { () throws(KernelError) in try device.decoder(.stop) }
    let isToStop = drained.stopped(answer, bothStreaming: bothStream)
    if isToStop {
      // No such command: what is inside comes while the stream is being read, the rest is given up.
      drained.resumed()
      while true {
        try checkInterrupt()
        let came = try pump(stream, given > 0 ? Self.timeLimit : Self.handOver, into: &sink)
        guard came.moved || came.woken else { break }
      }
      drained.ended()
    }
    var deadline = Deadline(Self.timeLimit)
    var before = progress
    while drained.state == .draining {
      try checkInterrupt()
      guard let left = deadline.nextWait() else {
        guard let pictures, pictures.queued == 0, !pictures.hasComeHome else {
          throw hang("VIDIOC_DECODER_CMD", "the drain did not end")
        }
        throw Failure(.timedOut, "drain", on: path, "all \(pictures.count) pictures are in use")
      }
      _ = try pump(stream, left, into: &sink)
      if progress != before { (before, deadline) = (progress, Deadline(Self.timeLimit)) }
    }
    if !bothStream || isToStop {
      // Accepted and ignored, or not known: what was never read goes.
      try asFailure { () throws(KernelError) in
        try stream.stop()
        try stream.start()
      }
    }
    forget()
  }

  private func forget() {
    waiting.removeAll()
    unitDelay = 0
  }

  /// After a drain, with the next stream.
  func resume() throws(Failure) {
    if let pictures, pictures.isStreaming { try goOn(pictures) }
    drained.resumed()
  }

  /// Seeking, at once: both queues are emptied, the sizes stay.
  func flush() throws(Failure) {
    guard let stream else { return }
    try asFailure { () throws(KernelError) in
      try stream.stop()
      try pictures?.stop()
    }
    forget()
    drained.resumed()
    try takeEvents()
    if let pictures {
      if isChangePending {
        // It had come to another size just then.
        try change()
      }
      if pictures === self.pictures { try asFailure { () throws(KernelError) in try pictures.start() } }
    }
    try asFailure { () throws(KernelError) in try stream.start() }
  }
}
