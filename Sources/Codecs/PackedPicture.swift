// SPDX-License-Identifier: Apache-2.0
public import MediaCore

/// The pixels of a frame as a file of raw video has them: plane after plane, top line first, lines without padding, nothing converted.
/// FFmpeg reads it as one picture of `rawvideo` of the same format and size.
public enum PackedPicture {
  /// - Throws: ENOTSUP for a format without lines of pixels, EINVAL for a layout that does not fit its memory, what mapping says.
  public static func bytes(of frame: borrowing Frame) throws(Failure) -> [UInt8] {
    let pixels = try frame.beginPixels(write: false)
    let (width, height) = (pixels.width, pixels.height)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(PlaneExtent.byteCount(pixels.format, width: width, height: height))
    if let extents = PlaneExtent.of(pixels.format, width: width, height: height) {
      append(pixels.plane0, extents.0, to: &bytes)
      if let extent = extents.1 { append(pixels.plane1, extent, to: &bytes) }
      if let extent = extents.2 { append(pixels.plane2, extent, to: &bytes) }
    }
    try frame.endPixels(write: false)
    return bytes
  }

  private static func append(_ plane: PlanePointer, _ extent: PlaneExtent, to bytes: inout [UInt8]) {
    for line in 0..<extent.lines {
      bytes.append(contentsOf: UnsafeBufferPointer(start: plane.at(row: line, column: 0).base, count: extent.bytes))
    }
  }
}
