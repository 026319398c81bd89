// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// One plane the CPU can reach. `stride` is negative for a picture read from the bottom up.
struct PlanePointer {
  var base: UnsafeMutablePointer<UInt8>
  var stride: Int32

  /// The plane from its byte `column` of line `row` on.
  func at(row: Int, column: Int) -> PlanePointer {
    PlanePointer(base: base + row * Int(stride) + column, stride: stride)
  }

  /// The same `lines` lines, last one first.
  func upsideDown(lines: Int) -> PlanePointer {
    PlanePointer(base: base + (lines - 1) * Int(stride), stride: -stride)
  }
}

/// The pixels of a frame as pointers, for the C libraries. Valid while the frame lives and its access is open.
struct Pixels {
  var format: PixelFormat
  var width: Int
  var height: Int
  var plane0: PlanePointer
  /// Same as `plane0` where the format has no second or third plane.
  var plane1: PlanePointer
  var plane2: PlanePointer
  /// What the samples mean, or are to mean where they are written.
  var color = ColorDescription.unspecified

  var chromaWidth: Int { (width + 1) / 2 }
  var chromaHeight: Int { (height + 1) / 2 }
}

/// Bytes in one line and number of lines of each plane of a format.
struct PlaneExtent {
  var bytes: Int
  var lines: Int

  /// - Returns: one entry a plane, or `nil` for a format whose pixels are not laid out in lines.
  static func of(_ format: PixelFormat, width: Int, height: Int) -> (PlaneExtent, PlaneExtent?, PlaneExtent?)? {
    let half = (width + 1) / 2
    let halfLines = (height + 1) / 2
    switch format {
    case .i420:
      let chroma = PlaneExtent(bytes: half, lines: halfLines)
      return (PlaneExtent(bytes: width, lines: height), chroma, chroma)
    case .nv12, .nv21:
      return (PlaneExtent(bytes: width, lines: height), PlaneExtent(bytes: half * 2, lines: halfLines), nil)
    case .nv16:
      return (PlaneExtent(bytes: width, lines: height), PlaneExtent(bytes: half * 2, lines: height), nil)
    case .p010:
      return (PlaneExtent(bytes: width * 2, lines: height), PlaneExtent(bytes: half * 4, lines: halfLines), nil)
    case .yuyv, .uyvy: return (PlaneExtent(bytes: half * 4, lines: height), nil, nil)
    case .xrgb8888, .argb8888, .xbgr8888: return (PlaneExtent(bytes: width * 4, lines: height), nil, nil)
    case .rgb24, .bgr24: return (PlaneExtent(bytes: width * 3, lines: height), nil, nil)
    case .grey: return (PlaneExtent(bytes: width, lines: height), nil, nil)
    default: return nil
    }
  }

  /// Bytes of pixels in a whole picture.
  static func byteCount(_ format: PixelFormat, width: Int, height: Int) -> Int {
    guard let (a, b, c) = of(format, width: width, height: height) else { return 0 }
    return a.bytes * a.lines + (b.map { $0.bytes * $0.lines } ?? 0) + (c.map { $0.bytes * $0.lines } ?? 0)
  }
}

extension Frame {
  /// Opens the pixels to the CPU. Every call that succeeds is followed by one of ``endPixels(write:)``.
  ///
  /// The layout comes from devices and files, so it is checked against the memory before any pointer is made.
  /// - Throws: EINVAL for a layout that does not fit its memory, ENOTSUP for a format without lines of pixels, what
  ///   mapping says.
  borrowing func beginPixels(write: Bool) throws(Failure) -> Pixels {
    let width = Int(layout.width)
    let height = Int(layout.height)
    guard width > 0, height > 0, let extents = PlaneExtent.of(layout.format, width: width, height: height) else {
      throw Failure(.notSupported, "map", on: "\(layout.format) frame", "not a format of raw pixels")
    }
    let first = try plane(layout.plane0, extents.0)
    var pixels = Pixels(
      format: layout.format, width: width, height: height, plane0: first, plane1: first, plane2: first,
      color: layout.color)
    if let extent = extents.1 { pixels.plane1 = try plane(layout.plane1, extent) }
    if let extent = extents.2 { pixels.plane2 = try plane(layout.plane2, extent) }
    try buffer.beginCPUAccess(write: write)
    return pixels
  }

  /// Closes the CPU's access to the pixels.
  borrowing func endPixels(write: Bool) throws(Failure) { try buffer.endCPUAccess(write: write) }

  private borrowing func plane(_ plane: Plane, _ extent: PlaneExtent) throws(Failure) -> PlanePointer {
    guard let memory = buffer.memory(of: plane) else {
      throw Failure(
        .invalidArgument, "map", on: "frame", "plane in memory \(plane.memory) of \(buffer.linked.count + 1)")
    }
    let end = Int(plane.offset) + Int(plane.stride) * (extent.lines - 1) + extent.bytes
    guard plane.offset >= 0, Int(plane.stride) >= extent.bytes, end <= memory.size else {
      throw Failure(
        .invalidArgument, "map", on: "\(layout.format) frame",
        "\(extent.lines) lines of \(extent.bytes) bytes at \(plane.offset), stride \(plane.stride), in \(memory.size)")
    }
    let base = try memory.map().assumingMemoryBound(to: UInt8.self)
    return PlanePointer(base: base + Int(plane.offset), stride: plane.stride)
  }
}
