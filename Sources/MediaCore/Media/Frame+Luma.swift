// SPDX-License-Identifier: Apache-2.0

/// The luma of a picture, for those who only look. Valid until the access is ended.
public struct Luma {
  public let samples: UnsafePointer<UInt8>
  /// Bytes from one line to the next.
  public let stride: Int
  public let width: Int
  public let height: Int
}

extension Frame {
  /// Formats whose luma is a plane of its own, in samples of 8 bits.
  public static let formatsWithLuma: [PixelFormat] = [.nv12, .i420, .nv21, .nv16, .grey]

  /// Opens the luma to the CPU. Where it returns one, ``endLuma()`` follows.
  /// - Returns: `nil` for other formats, and for a layout that does not fit its memory: it comes from devices and files.
  /// - Throws: what mapping says.
  public borrowing func beginLuma() throws(Failure) -> Luma? {
    let layout = layout
    guard Self.formatsWithLuma.contains(layout.format), layout.plane0.memory == 0 else { return nil }
    let (offset, stride) = (Int(layout.plane0.offset), Int(layout.plane0.stride))
    let (width, height) = (Int(layout.width), Int(layout.height))
    let memory = buffer.memory
    guard offset >= 0, width > 0, stride >= width, height > 0, offset + stride * (height - 1) + width <= memory.size
    else { return nil }
    let base = try memory.map()
    try memory.beginCPUAccess(write: false)
    return Luma(
      samples: UnsafePointer((base + offset).assumingMemoryBound(to: UInt8.self)), stride: stride, width: width,
      height: height)
  }

  public borrowing func endLuma() throws(Failure) { try buffer.memory.endCPUAccess(write: false) }
}
