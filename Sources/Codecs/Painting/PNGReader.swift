// SPDX-License-Identifier: Apache-2.0
import CPNG
public import MediaCore

/// Reads PNG files with libpng: every colour type, depth and interlacing becomes B G R A of 8 bits. Colours of a file that says they
/// are not sRGB's are converted.
public struct PNGReader: PictureFileReader {
  private static let signature: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

  public init() {}

  public var format: String { "PNG" }

  public func recognises(_ bytes: [UInt8]) -> Bool { bytes.starts(with: PNGReader.signature) }

  /// Of memory it takes what the pixels need, and what libpng needs for a few lines and for chunks beside them (8 MB at most).
  public func read(_ bytes: [UInt8], limit: Int) throws(Failure) -> CanvasPixels {
    let result: Result<CanvasPixels, Failure> = bytes.withUnsafeBytes { source in
      do throws(Failure) { return .success(try read(source, limit: limit)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  func read(_ source: UnsafeRawBufferPointer, limit: Int) throws(Failure) -> CanvasPixels {
    guard source.starts(with: PNGReader.signature) else { throw PNGReader.damaged("does not begin as a PNG file") }
    var image = png_image()
    guard mpifs_png_begin(&image, source.baseAddress, source.count) != 0 else { throw PNGReader.failure(image) }
    // Frees what is left in every case; after the pixels were read nothing is.
    defer { png_image_free(&image) }
    let (width, height) = (Int(image.width), Int(image.height))
    let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
    guard !overflow, pixels <= limit, max(width, height) <= CanvasPixels.longest else {
      throw Failure(
        .fileTooLarge, "read", on: "PNG",
        "has \(width)x\(height) pixels; the most are \(limit), and \(CanvasPixels.longest) along a side")
    }
    var isRead = false
    let made = [UInt8](unsafeUninitializedCapacity: pixels * 4) { target, count in
      isRead = mpifs_png_finish(&image, target.baseAddress) != 0
      // A file that ends early leaves the rest unwritten, and none of it is given on.
      count = isRead ? pixels * 4 : 0
    }
    guard isRead, let canvas = CanvasPixels(width: width, height: height, bytes: made) else {
      throw PNGReader.failure(image)
    }
    return canvas
  }

  private static func damaged(_ reason: String) -> Failure {
    Failure(.illegalByteSequence, "read", on: "PNG", reason)
  }

  /// libpng's words for what went wrong.
  private static func failure(_ image: png_image) -> Failure {
    let text = withUnsafeBytes(of: image.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return damaged(text.isEmpty ? "cannot be read" : text)
  }
}
