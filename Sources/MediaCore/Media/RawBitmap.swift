// SPDX-License-Identifier: Apache-2.0

/// A bitmap as the vendors' regions take it: lines one after the other without gaps, words with their lowest byte first.
public struct RawBitmap: Sendable, Equatable {
  /// What a pixel is in memory.
  public enum Format: Sendable, CaseIterable {
    /// 32 bits, B G R A in memory.
    case argb8888
    /// A word of 16 bits: alpha, red, green and blue of 4 bits each, blue lowest.
    case argb4444
    /// A word of 16 bits: one bit of alpha, red, green and blue of 5 bits each, blue lowest.
    case argb1555
    /// Two bits, the first pixel of a byte in its lowest ones (Rockchip's `RK_FMT_2BPP`, as its samples fill it); each line begins
    /// with a byte. The number is one of the palette.
    case twoBitsPerPixel
  }

  /// A colour of the palette. The vendor's two colours are the numbers 3 and 2, its 0 and 1 are transparent.
  public struct Entry: Sendable, Hashable {
    public var color: PaintColor
    public var alpha: UInt8

    public init(_ color: PaintColor, alpha: UInt8 = 255) {
      self.color = color
      self.alpha = alpha
    }
  }

  public let format: Format
  public let width: Int
  public let height: Int

  /// - Throws: EINVAL for a size no canvas has.
  public init(_ format: Format, width: Int, height: Int) throws(Failure) {
    let sides = 1...CanvasPixels.longest
    guard sides.contains(width), sides.contains(height) else {
      throw Failure(
        .invalidArgument, "read", on: "\(width)x\(height) bitmap", "a side is 1 to \(CanvasPixels.longest) pixels long")
    }
    self.format = format
    self.width = width
    self.height = height
  }

  /// What a bitmap of this size has.
  public var byteCount: Int {
    switch format {
    case .argb8888: width * height * 4
    case .argb4444, .argb1555: width * height * 2
    case .twoBitsPerPixel: (width + 3) / 4 * height
    }
  }

  /// Reads a bitmap.
  /// - Parameters:
  ///   - foreground: alpha of an ``Format/argb1555`` pixel whose bit is 1.
  ///   - background: of one whose bit is 0.
  ///   - palette: of ``Format/twoBitsPerPixel``, up to four; what it has not is transparent.
  /// - Throws: EINVAL for another number of bytes than ``byteCount``, or a palette of more than four.
  public func pixels(
    _ bytes: [UInt8], foreground: UInt8 = 255, background: UInt8 = 0, palette: [Entry] = []
  ) throws(Failure) -> CanvasPixels {
    guard bytes.count == byteCount else {
      throw Failure(
        .invalidArgument, "read", on: "\(width)x\(height) bitmap",
        "has \(bytes.count) bytes; \(name) takes \(byteCount)")
    }
    guard palette.count <= 4 else {
      throw Failure(.invalidArgument, "read", on: "palette", "has \(palette.count) colours; two bits tell four")
    }
    let made: [UInt8]
    switch format {
    case .argb8888: made = bytes
    case .argb4444:
      made = RawBitmap.words(bytes) { word in
        func wide(_ shift: Int) -> UInt8 { UInt8(word >> shift & 15) * 17 }
        return (wide(0), wide(4), wide(8), wide(12))
      }
    case .argb1555:
      made = RawBitmap.words(bytes) { word in
        // The upper bits again below, so that the most is 255.
        func wide(_ shift: Int) -> UInt8 { UInt8(word >> shift & 31) << 3 | UInt8(word >> shift & 31) >> 2 }
        return (wide(0), wide(5), wide(10), word & 0x8000 == 0 ? background : foreground)
      }
    case .twoBitsPerPixel: made = numbered(bytes, palette)
    }
    guard let canvas = CanvasPixels(width: width, height: height, bytes: made) else {
      throw Failure(.invalidArgument, "read", on: "\(width)x\(height) bitmap")
    }
    return canvas
  }

  private var name: String {
    switch format {
    case .argb8888: "argb8888"
    case .argb4444: "argb4444"
    case .argb1555: "argb1555"
    case .twoBitsPerPixel: "2bpp"
    }
  }

  private typealias Pixel = (blue: UInt8, green: UInt8, red: UInt8, alpha: UInt8)

  private static func words(_ bytes: [UInt8], _ pixel: (UInt16) -> Pixel) -> [UInt8] {
    var made: [UInt8] = []
    made.reserveCapacity(bytes.count * 2)
    for index in stride(from: 0, to: bytes.count - 1, by: 2) {
      append(pixel(UInt16(bytes[index]) | UInt16(bytes[index + 1]) << 8), to: &made)
    }
    return made
  }

  private func numbered(_ bytes: [UInt8], _ palette: [Entry]) -> [UInt8] {
    var colors = palette.map { Pixel($0.color.blue, $0.color.green, $0.color.red, $0.alpha) }
    while colors.count < 4 { colors.append(Pixel(0, 0, 0, 0)) }
    var made: [UInt8] = []
    made.reserveCapacity(width * height * 4)
    let line = (width + 3) / 4
    for row in 0..<height {
      for x in 0..<width {
        RawBitmap.append(colors[Int(bytes[row * line + x / 4] >> (x % 4 * 2) & 3)], to: &made)
      }
    }
    return made
  }

  private static func append(_ pixel: Pixel, to bytes: inout [UInt8]) {
    bytes.append(pixel.blue)
    bytes.append(pixel.green)
    bytes.append(pixel.red)
    bytes.append(pixel.alpha)
  }
}
