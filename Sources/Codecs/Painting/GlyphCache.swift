// SPDX-License-Identifier: Apache-2.0
import CFreeType
import MediaCore

/// How much of each pixel something covers, 0...255.
struct Coverage {
  var left: Int
  /// Lines above the baseline.
  var top: Int
  var width: Int
  var height: Int
  var bytes: [UInt8]
}

/// A letter of one size.
struct Glyph {
  let index: FT_UInt
  /// Pixels to the next letter.
  let advance: Int
  let inside: Coverage
  /// Of the letter grown by the outline; `nil` where there is none.
  let outline: Coverage?

  /// Columns with anything in them, from where the letter is put.
  var columns: Range<Int> {
    let widest = outline ?? inside
    return widest.left..<widest.left + widest.width
  }
}

/// Letters of one size, drawn once each. Serial use by its owner.
final class GlyphCache {
  /// Height of a line, pixels.
  let size: Int
  /// Of the outline, pixels; 0 for none.
  let outline: Int
  /// From the top of a line to where letters stand, pixels.
  let baseline: Int

  /// Height of a line without the outline, pixels.
  private let inner: Int
  /// What is kept, at most; more begins anew. A line of an alphabet of this size fits many times.
  private static let most = 1 << 20
  private let font: FontFile
  private var glyphs: [UInt32: Glyph] = [:]
  private var kept = 0

  /// - Throws: EINVAL for a size the font cannot have.
  init(_ font: FontFile, size: Int, isOutlined: Bool) throws(Failure) {
    self.font = font
    self.size = size
    outline = isOutlined ? max(1, size / 20) : 0
    inner = size - 2 * outline
    try font.setLineHeight(inner)
    guard let metrics = font.face.pointee.size else {
      throw Failure(.invalidArgument, "FT_Request_Size", on: font.path, "\(inner) pixels")
    }
    // Whole parts of what is in 1/64 pixels. The two may be a pixel more than the line together: then it is the upper that has less.
    let below = (-Int(metrics.pointee.metrics.descender) + 32) / 64
    baseline = outline + min(inner, max(0, inner - below))
  }

  /// Has the font measure and draw in this size; before a line.
  func activate() throws(Failure) { try font.setLineHeight(inner) }

  /// - Parameter character: a scalar of Unicode; the font's box stands for one it has not.
  func glyph(_ character: Unicode.Scalar) throws(Failure) -> Glyph {
    if let known = glyphs[character.value] { return known }
    let made = try draw(FT_Get_Char_Index(font.face, FT_ULong(character.value)))
    let bytes = made.inside.bytes.count + (made.outline?.bytes.count ?? 0)
    if kept + bytes > GlyphCache.most {
      glyphs = [:]
      kept = 0
    }
    kept += bytes
    glyphs[character.value] = made
    return made
  }

  /// Pixels a letter is moved because of the one before it.
  func kerning(_ before: Glyph, _ glyph: Glyph) -> Int {
    guard mpifs_ft_has_kerning(font.face) != 0 else { return 0 }
    var vector = FT_Vector()
    guard FT_Get_Kerning(font.face, before.index, glyph.index, FT_UInt(FT_KERNING_DEFAULT.rawValue), &vector) == 0
    else {
      return 0
    }
    // Never behind the letter before, so that a longer text is not a narrower one.
    return max(-before.advance, Int(vector.x) / 64)
  }

  private func draw(_ index: FT_UInt) throws(Failure) -> Glyph {
    var glyph: FT_Glyph?
    guard mpifs_ft_load(font.face, index) == 0, let slot = font.face.pointee.glyph, FT_Get_Glyph(slot, &glyph) == 0,
      let drawn = glyph
    else { throw Failure(.illegalByteSequence, "FT_Load_Glyph", on: font.path, "glyph \(index)") }
    defer { FT_Done_Glyph(drawn) }
    let advance = max(0, (Int(slot.pointee.advance.x) + 32) / 64)
    return Glyph(
      index: index, advance: advance, inside: try bitmap(drawn), outline: outline > 0 ? try stroked(drawn) : nil)
  }

  private func stroked(_ glyph: FT_Glyph) throws(Failure) -> Coverage {
    var stroker: FT_Stroker?
    guard FT_Stroker_New(font.library, &stroker) == 0, let stroker else {
      throw Failure(.noMemory, "FT_Stroker_New", on: font.path)
    }
    defer { FT_Stroker_Done(stroker) }
    FT_Stroker_Set(stroker, FT_Fixed(outline * 64), FT_STROKER_LINECAP_ROUND, FT_STROKER_LINEJOIN_ROUND, 0)
    // A glyph of its own: the one given stays.
    var grown: FT_Glyph? = glyph
    guard FT_Glyph_StrokeBorder(&grown, stroker, 0, 0) == 0, let grown else { return try bitmap(glyph) }
    defer { FT_Done_Glyph(grown) }
    return try bitmap(grown)
  }

  private func bitmap(_ glyph: FT_Glyph) throws(Failure) -> Coverage {
    var image: FT_Glyph? = glyph
    guard FT_Glyph_To_Bitmap(&image, FT_RENDER_MODE_NORMAL, nil, 0) == 0, let image else {
      throw Failure(.noMemory, "FT_Glyph_To_Bitmap", on: font.path)
    }
    defer { if image != glyph { FT_Done_Glyph(image) } }
    return UnsafeMutableRawPointer(image).withMemoryRebound(to: FT_BitmapGlyphRec.self, capacity: 1) { record in
      let bitmap = record.pointee.bitmap
      var made = Coverage(
        left: Int(record.pointee.left), top: Int(record.pointee.top), width: Int(bitmap.width),
        height: Int(bitmap.rows),
        bytes: [])
      guard let buffer = bitmap.buffer, UInt32(bitmap.pixel_mode) == FT_PIXEL_MODE_GRAY.rawValue else {
        (made.width, made.height) = (0, 0)
        return made
      }
      made.bytes.reserveCapacity(made.width * made.height)
      for row in 0..<made.height {
        made.bytes.append(contentsOf: UnsafeBufferPointer(start: buffer + row * Int(bitmap.pitch), count: made.width))
      }
      return made
    }
  }
}
