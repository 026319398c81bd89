// SPDX-License-Identifier: Apache-2.0

extension FrameLayout {
  /// The layout of a copy in one memory: the same where it is in one already, so that what is prepared for the one serves the
  /// other; else the usual one.
  public var ofCopy: FrameLayout? {
    if plane0.memory == 0, plane1.memory == 0, plane2.memory == 0 { return self }
    guard var copy = FrameLayout(format, width: Int(width), height: Int(height)) else { return nil }
    (copy.color, copy.aspect) = (color, aspect)
    return copy
  }
}

extension Frame {
  /// A second frame with pixels of its own.
  /// - Parameter room: a buffer of at least ``FrameLayout/byteCount`` of `target`, which nobody else holds.
  /// - Parameter target: this frame's ``FrameLayout/ofCopy``.
  /// - Throws: EINVAL for a layout that does not fit its memory, what mapping says.
  public borrowing func copy(into room: consuming BufferRef, as target: FrameLayout) throws(Failure) -> Frame {
    let made = Frame(room, layout: target, pts: pts, sequence: sequence, stamps: stamps, isOwn: true)
    try buffer.beginCPUAccess(write: false)
    try made.buffer.beginCPUAccess(write: true)
    var failure: Failure?
    do throws(Failure) { try copyPixels(to: made) } catch { failure = error }
    try made.buffer.endCPUAccess(write: true)
    try buffer.endCPUAccess(write: false)
    if let failure { throw failure }
    return made
  }

  private borrowing func copyPixels(to made: borrowing Frame) throws(Failure) {
    let target = made.layout
    guard layout == target else {
      try copy(layout.plane0, to: target.plane0, of: made)
      try copy(layout.plane1, to: target.plane1, of: made)
      try copy(layout.plane2, to: target.plane2, of: made)
      return
    }
    let bytes = layout.byteCount
    guard bytes <= buffer.memory.size, bytes <= made.buffer.memory.size else { throw misfit(layout.plane0) }
    try made.buffer.memory.map().copyMemory(from: buffer.memory.map(), byteCount: bytes)
  }

  private borrowing func copy(_ from: Plane, to: Plane, of made: borrowing Frame) throws(Failure) {
    guard from.lines > 0 else { return }
    guard let memory = buffer.memory(of: from) else { throw misfit(from) }
    let lines = Int(min(from.lines, to.lines))
    let bytes = Int(min(from.stride, to.stride))
    guard from.offset >= 0, bytes >= 0,
      Int(from.offset) + Int(from.stride) * (lines - 1) + bytes <= memory.size,
      Int(to.offset) + Int(to.stride) * (lines - 1) + bytes <= made.buffer.memory.size
    else { throw misfit(from) }
    let source = try memory.map() + Int(from.offset)
    let target = try made.buffer.memory.map() + Int(to.offset)
    for line in 0..<lines {
      (target + line * Int(to.stride)).copyMemory(from: source + line * Int(from.stride), byteCount: bytes)
    }
  }

  private borrowing func misfit(_ plane: Plane) -> Failure {
    Failure(
      .invalidArgument, "copy", on: "frame",
      "\(plane.lines) lines of \(plane.stride) bytes at \(plane.offset) do not fit their memory")
  }
}
