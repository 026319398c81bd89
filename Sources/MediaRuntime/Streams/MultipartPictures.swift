// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// Whoever makes one form's bytes of pictures. Used by one thread at a time.
protocol PictureForm: AnyObject, Sendable {
  /// Appends what a picture becomes.
  /// - Returns: false where what was begun cannot go on with this picture: it ends before it.
  func put(
    _ picture: StreamReader.Picture, _ bytes: UnsafeRawBufferPointer, into out: inout [UInt8]
  ) throws(Failure) -> Bool
}

/// JPEG pictures as parts of a MIME message (RFC 2046, 5.1), each of which replaces the one before where it is shown.
final class MultipartPictures: PictureForm {
  static let boundary = "mpifs"

  func put(
    _ picture: StreamReader.Picture, _ bytes: UnsafeRawBufferPointer, into out: inout [UInt8]
  ) throws(Failure) -> Bool {
    try StreamForm.multipart.require(picture.codec)
    let time = max(0, picture.pts)
    let fraction = String(time % 1_000_000)
    // The time stamp is that of other servers of such streams: seconds and microseconds.
    let head = """
      --\(Self.boundary)\r
      Content-Type: image/jpeg\r
      Content-Length: \(bytes.count)\r
      X-Timestamp: \(time / 1_000_000).\(String(repeating: "0", count: 6 - fraction.count))\(fraction)\r
      \r

      """
    out.append(contentsOf: head.utf8)
    out.append(contentsOf: bytes)
    out.append(contentsOf: "\r\n".utf8)
    return true
  }
}
