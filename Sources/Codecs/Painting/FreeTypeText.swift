// SPDX-License-Identifier: Apache-2.0
public import MediaCore

/// Draws lines of text with FreeType: smooth, with the font's kerning, with an outline where one is asked for.
///
/// A line is as high as its style says, outline included; what a letter has above or below the font's line is cut off. A letter the
/// font lacks is the font's box. Tabs and line ends are blanks, other control characters U+FFFD.
///
/// The font is opened with the first line. Serial use.
public final class FreeTypeText: TextRenderer, @unchecked Sendable {
  /// Heights of a line, pixels.
  static let sizes = 4...1024
  private let path: String?
  private var font: Result<FontFile, Failure>?
  /// Of the last style, and of the one before.
  private var caches: [GlyphCache] = []

  /// - Parameter font: path of a font file; `nil` for the one named by `MPIFS_FONT` or, without it, one in the usual places.
  public init(font: String? = nil) { path = font }

  public var engine: String { (try? opened().engine) ?? "FreeType" }

  /// - Throws: ENOENT where no font is found, EFBIG above `limit` pixels, EINVAL for a height or a font that cannot be.
  public func render(_ text: String, _ style: TextStyle, limit: Int) throws(Failure) -> CanvasPixels {
    guard FreeTypeText.sizes.contains(style.size) else {
      throw Failure(
        .invalidArgument, "draw", on: "text",
        "a line is \(FreeTypeText.sizes.lowerBound) to \(FreeTypeText.sizes.upperBound) pixels high, not \(style.size)")
    }
    let cache = try cache(size: style.size, isOutlined: style.outline != nil)
    var line = TextLine(cache, mostWidth: min(limit / style.size, CanvasPixels.longest))
    for scalar in text.unicodeScalars { try line.append(FreeTypeText.shown(scalar)) }
    return try line.drawn(style)
  }

  private func opened() throws(Failure) -> FontFile {
    if case .success(let font)? = font { return font }
    // One that was not there may come.
    let made = try FontFile(path)
    font = .success(made)
    return made
  }

  private func cache(size: Int, isOutlined: Bool) throws(Failure) -> GlyphCache {
    let font = try opened()
    if let index = caches.firstIndex(where: { $0.size == size && ($0.outline > 0) == isOutlined }) {
      caches.swapAt(0, index)
      try caches[0].activate()
      return caches[0]
    }
    let made = try GlyphCache(font, size: size, isOutlined: isOutlined)
    caches = [made] + caches.prefix(1)
    return made
  }

  private static func shown(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
    switch scalar.value {
    case 0x09...0x0d, 0x85, 0x2028, 0x2029: " "
    case 0x00...0x1f, 0x7f...0x9f: "\u{fffd}"
    default: scalar
    }
  }
}
