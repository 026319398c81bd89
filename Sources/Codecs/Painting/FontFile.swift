// SPDX-License-Identifier: Apache-2.0
import CFreeType
import Glibc
import MediaCore
import SystemPackage

/// A font file, opened with FreeType. Owns the library's handle and the font's. Serial use.
final class FontFile {
  /// Where distributions put what can be read everywhere, best first. The first is DejaVu Sans, in Debian's folder and in others'.
  static let usualPlaces = [
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu/DejaVuSans.ttf", "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
    "/usr/share/fonts/truetype/liberation2/LiberationSans-Regular.ttf",
    "/usr/share/fonts/truetype/freefont/FreeSans.ttf",
  ]

  let path: String
  /// `FreeType 2.12.1, DejaVu Sans`
  let engine: String
  let library: FT_Library
  let face: FT_Face
  private var lineHeight = 0

  /// Opens the named font, or else the one of the environment's `MPIFS_FONT`, or else the first of ``usualPlaces`` that is there.
  /// - Throws: ENOENT where there is none, EINVAL for a file that is no font with outlines.
  convenience init(_ named: String?) throws(Failure) {
    if let path = named ?? getenv("MPIFS_FONT").map({ String(cString: $0) }), !path.isEmpty {
      try self.init(path: path)
      return
    }
    guard let path = FontFile.usualPlaces.first(where: { access($0, R_OK) == 0 }) else {
      throw Failure(
        .noSuchFileOrDirectory, "open", on: "font",
        "MPIFS_FONT names none, and none is in the usual places, as \(FontFile.usualPlaces[0])")
    }
    try self.init(path: path)
  }

  init(path: String) throws(Failure) {
    guard access(path, R_OK) == 0 else {
      throw Failure(Errno(rawValue: Glibc.errno), "open", on: "font \(path)")
    }
    var library: FT_Library?
    guard FT_Init_FreeType(&library) == 0, let library else { throw Failure(.noMemory, "FT_Init_FreeType", on: path) }
    var face: FT_Face?
    let status = FT_New_Face(library, path, 0, &face)
    guard status == 0, let face, mpifs_ft_is_scalable(face) != 0 else {
      FT_Done_FreeType(library)
      throw Failure(
        .invalidArgument, "open", on: "font \(path)",
        status == 0 ? "has no outlines" : "FreeType does not take it, error \(status)")
    }
    self.path = path
    self.library = library
    self.face = face
    var (major, minor, patch): (FT_Int, FT_Int, FT_Int) = (0, 0, 0)
    FT_Library_Version(library, &major, &minor, &patch)
    let family = face.pointee.family_name.map { String(cString: $0) } ?? path
    engine = "FreeType \(major).\(minor).\(patch), \(family)"
  }

  /// Makes letters so large that a line is so high. What is drawn and measured afterwards is of this size.
  /// - Throws: EINVAL for a height the font cannot have.
  func setLineHeight(_ pixels: Int) throws(Failure) {
    guard pixels != lineHeight else { return }
    guard pixels >= 1, mpifs_ft_set_line_height(face, UInt32(pixels)) == 0 else {
      throw Failure(.invalidArgument, "FT_Request_Size", on: path, "\(pixels) pixels")
    }
    lineHeight = pixels
  }

  deinit {
    FT_Done_Face(face)
    FT_Done_FreeType(library)
  }
}
