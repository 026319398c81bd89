// SPDX-License-Identifier: Apache-2.0
import CPictures
import MediaCore

/// Sizes of a plane before and after.
package struct ScalingWork: CustomStringConvertible, Sendable {
  package var width: Int
  package var height: Int
  package var newWidth: Int
  package var newHeight: Int
  package var channels: Int
  package var description: String { "\(width)x\(height) to \(newWidth)x\(newHeight), \(channels) channel(s)" }

  package init(width: Int, height: Int, newWidth: Int, newHeight: Int, channels: Int = 1) {
    (self.width, self.height, self.newWidth, self.newHeight) = (width, height, newWidth, newHeight)
    self.channels = channels
  }

  package func tables(_ instructions: Int) -> OpaquePointer? {
    pictures_scaling_make(
      CInt(width), CInt(height), CInt(newWidth), CInt(newHeight), CInt(channels), CInt(instructions))
  }

  /// What the new plane is.
  package struct Scaled {
    package var samples: [UInt8]
    /// Of the kernel that made it.
    package var name: String
    /// Nothing between the lines was written.
    package var isClean: Bool
  }

  /// - Parameters:
  ///   - upsideDown: the plane is read from its last line on.
  ///   - gap: bytes between the new lines.
  ///   - atEnd: the new plane ends with memory.
  package func scaled(
    _ instructions: Int, _ source: GuardedPlane, upsideDown: Bool = false, gap: Int = 0, atEnd: Bool = true
  ) throws -> Scaled {
    guard let tables = tables(instructions) else { throw Failure(.invalidArgument, "scale", on: "\(self)") }
    defer { pictures_scaling_free(tables) }
    let target = try GuardedPlane(bytes: newWidth * channels, lines: newHeight, gap: gap, atEnd: atEnd)
    let from = upsideDown ? source.start + (source.lines - 1) * source.stride : source.start
    pictures_scale(tables, from, upsideDown ? -source.stride : source.stride, target.start, target.stride)
    return Scaled(
      samples: target.samples, name: String(cString: pictures_scaling_name(tables)), isClean: target.gapsAreUntouched)
  }
}
