// SPDX-License-Identifier: Apache-2.0
import CPNGReader
public import MediaCore

/// Reads PNG files with libpng: every colour type, depth and interlacing becomes B G R A of 8 bits, its samples taken as
/// sRGB's.
public struct PNGReader: PictureFileReader {
  private static let signature: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

  public init() {}

  public var format: String { "PNG" }

  public func recognises(_ bytes: [UInt8]) -> Bool { bytes.starts(with: PNGReader.signature) }

  /// Of memory it takes what the pixels need, and what libpng needs for a few lines and for a chunk beside them (1 MB at most).
  public func read(_ bytes: [UInt8], limit: Int) throws(Failure) -> CanvasPixels {
    let result: Result<CanvasPixels, Failure> = bytes.withUnsafeBytes { source in
      do throws(Failure) { return .success(try read(source, limit: limit)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  func read(_ source: UnsafeRawBufferPointer, limit: Int) throws(Failure) -> CanvasPixels {
    guard source.starts(with: PNGReader.signature) else { throw PNGReader.damaged("does not begin as a PNG file") }
    var message = [CChar](repeating: 0, count: mpifs_png_message_size)
    guard let file = mpifs_png_open(source.baseAddress, source.count, &message) else {
      throw PNGReader.damaged(message)
    }
    defer { mpifs_png_close(file) }
    // Each below 2^31.
    let (width, height) = (Int(mpifs_png_width(file)), Int(mpifs_png_height(file)))
    guard width * height <= limit, max(width, height) <= CanvasPixels.longest else {
      throw Failure(
        .fileTooLarge, "read", on: "PNG",
        "has \(width)x\(height) pixels; the most are \(limit), and \(CanvasPixels.longest) along a side")
    }
    var isRead = false
    let made = [UInt8](unsafeUninitializedCapacity: width * height * 4) { target, count in
      guard let base = target.baseAddress else { return }
      isRead = mpifs_png_read(file, base, &message) != 0
      // A file that ends early leaves the rest unwritten, and none of it is given on.
      count = isRead ? width * height * 4 : 0
    }
    guard isRead, let canvas = CanvasPixels(width: width, height: height, bytes: made) else {
      throw PNGReader.damaged(message)
    }
    return canvas
  }

  private static func damaged(_ reason: String) -> Failure { Failure(.illegalByteSequence, "read", on: "PNG", reason) }

  /// - Parameter message: libpng's words for what went wrong.
  private static func damaged(_ message: [CChar]) -> Failure {
    let text = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return damaged(text.isEmpty ? "cannot be read" : text)
  }
}
