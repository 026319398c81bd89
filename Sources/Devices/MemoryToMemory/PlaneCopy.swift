// SPDX-License-Identifier: Apache-2.0
internal import MediaCore

/// Copies the planes of a picture between memories with different layouts of one format.
enum PlaneCopy {
  /// - Parameters:
  ///   - address: start and size of a memory plane of either side.
  /// - Returns: bytes written.
  /// - Throws: EINVAL when a plane lies outside its memory.
  static func copy(
    _ from: FrameLayout, _ source: (Int) throws(Failure) -> UnsafeMutableRawBufferPointer, to: FrameLayout,
    _ destination: (Int) throws(Failure) -> UnsafeMutableRawBufferPointer, on subject: String
  ) throws(Failure) -> Int {
    var written = 0
    // A part of a picture leaves what is beside it as it is.
    let inLine = from.lineBytes ?? (.max, .max, .max)
    for index in 0..<3 {
      let (a, b) = (plane(from, index), plane(to, index))
      guard a.lines > 0, b.lines > 0 else { continue }
      let input = try source(Int(a.memory))
      let output = try destination(Int(b.memory))
      let width = min(Int(min(a.stride, b.stride)), index == 0 ? inLine.0 : index == 1 ? inLine.1 : inLine.2)
      let lines = Int(min(a.lines, b.lines))
      guard a.offset >= 0, b.offset >= 0, Int(a.offset) + Int(a.stride) * (lines - 1) + width <= input.count,
        Int(b.offset) + Int(b.stride) * (lines - 1) + width <= output.count, let read = input.baseAddress,
        let write = output.baseAddress
      else { throw Failure(.invalidArgument, "copy", on: subject, "a plane lies outside its memory") }
      if a.stride == b.stride, width == Int(a.stride) {
        (write + Int(b.offset)).copyMemory(
          from: read + Int(a.offset), byteCount: Int(a.stride) * (lines - 1) + width)
      } else {
        for line in 0..<lines {
          (write + Int(b.offset) + line * Int(b.stride)).copyMemory(
            from: read + Int(a.offset) + line * Int(a.stride), byteCount: width)
        }
      }
      written += width * lines
    }
    return written
  }

  /// Whether the planes of both lie at the same places, so that one can be imported as the other.
  static func agree(_ a: FrameLayout, _ b: FrameLayout) -> Bool {
    for index in 0..<3 {
      let (p, q) = (plane(a, index), plane(b, index))
      if p.memory != q.memory || p.offset != q.offset || p.stride != q.stride { return false }
    }
    return a.format == b.format
  }

  private static func plane(_ layout: FrameLayout, _ index: Int) -> Plane {
    switch index {
    case 0: layout.plane0
    case 1: layout.plane1
    default: layout.plane2
    }
  }
}

extension Buffer {
  /// The memory of a plane: the buffer's own, or one of those linked to it.
  func memory(_ index: Int) -> any Memory { index == 0 ? memory : linked[index - 1] }
  var memoryCount: Int { linked.count + 1 }
}
