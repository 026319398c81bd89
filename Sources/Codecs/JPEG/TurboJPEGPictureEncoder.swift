// SPDX-License-Identifier: Apache-2.0
public import MediaCore
import Synchronization

/// Snapshots with libturbojpeg, from every raw format, with full-range colours as a viewer expects.
///
/// Any thread may call; a lock keeps calls apart, since a compressor serves one picture at a time. Scratch memory is
/// kept from one snapshot to the next only while the object lives: drop it to give the memory back.
public final class TurboJPEGPictureEncoder: PictureEncoder, @unchecked Sendable {
  /// Guards `compressor`.
  private let lock = Mutex(())
  private var compressor: JPEGCompressor

  public init() throws(Failure) {
    compressor = try JPEGCompressor()
  }

  public func jpeg(_ frame: borrowing Frame, quality: Int) throws(Failure) -> [UInt8] {
    guard (1...100).contains(quality) else { throw Failure(.outOfRange, "quality", on: "turbojpeg", "1 to 100") }
    let pixels = try frame.beginPixels(write: false)
    let result: Result<[UInt8], Failure> = lock.withLock { _ in
      do throws(Failure) {
        return .success(Array(try compressor.compressColours(pixels, quality: quality)))
      } catch {
        return .failure(error)
      }
    }
    try frame.endPixels(write: false)
    return try result.get()
  }
}
