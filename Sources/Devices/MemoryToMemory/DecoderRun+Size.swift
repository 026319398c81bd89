// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// Changes of size, and the end: how CAPTURE goes on after the picture marked LAST.
extension DecoderRun {
  /// All pictures up to a change, or up to the end, are out.
  func ended(wasDraining: Bool? = nil) throws(Failure) {
    let wasDraining = wasDraining ?? (drained.state == .draining)
    drained.ended()
    try takeEvents()
    if let stream { _ = try takeUnits(stream) }
    let hasMore = stream.map { $0.count > $0.free.count } ?? false
    if wasDraining && !isChangePending && !hasMore { return }
    // The stream goes on with another size; or a driver ended unasked, which is gone on from in the same way.
    try change()
    guard wasDraining else { return }
    if progress == progressAtStop {
      // It says that it is done and leaves units unread: not asked again at once, and the drain's time runs on.
      _ = try asFailure { () throws(KernelError) in
        try waker.wait(for: .writable, of: device, milliseconds: Self.handOver) { false }
      }
    }
    progressAtStop = progress
    let answer = try asFailure { () throws(KernelError) in try device.decoder(.stop) }
    _ = drained.stopped(answer, bothStreaming: true)
  }

  /// Sets up CAPTURE for what the stream is now.
  func change() throws(Failure) {
    isChangePending = false
    guard let old = pictures else { return try beginPictures(fallback: nil) }
    let (format, visible) = try setup.format()
    let isSame = format == old.format && visible == old.visible
    // Where the driver gave fewer than were asked for, asking again brings no more.
    if isSame, try setup.wished() <= max(old.count, old.wished) {
      try goOn(old)
      drained.resumed()
      return
    }
    pictures = nil
    guard old.finish() else {
      throw Failure(
        .ioError, "VIDIOC_REQBUFS", on: path, "the driver frees no pictures while some are in use: it starts anew")
    }
    if !isSame { status.change { $0.counters.layoutChanges += 1 } }
    try beginPictures(fallback: nil)
    drained.resumed()
  }

  /// After LAST, with the same pictures.
  func goOn(_ pictures: DecodedPictures) throws(Failure) {
    try asFailure { () throws(KernelError) in
      if !isStartDeaf, try device.decoder(.start) == .accepted {
        isJustStarted = true
        return
      }
      try pictures.stop()
      try pictures.start()
    }
  }

  func beginPictures(fallback: (width: Int, height: Int)?) throws(Failure) {
    let new = try setup.begin(fallback: fallback)
    pictures = new
    progress += 1
    status.change {
      $0.layout = new.layout
      $0.memoryKind = new.kind
      $0.pool = new.pool
    }
  }
}
