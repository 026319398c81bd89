// SPDX-License-Identifier: Apache-2.0

/// A bitmap as regions show it: 32 bits a pixel, B G R A in memory (DRM `ARGB8888`), lines without gaps, colours not multiplied by
/// alpha. A value that is made once and swapped whole.
public struct CanvasPixels: Sendable, Equatable {
  /// Most pixels along a side.
  public static let longest = 16384

  public let width: Int
  public let height: Int
  /// `width * height * 4` bytes.
  public let bytes: [UInt8]

  /// - Returns: `nil` where the bytes are not those of such a picture.
  public init?(width: Int, height: Int, bytes: [UInt8]) {
    let sides = 1...CanvasPixels.longest
    guard sides.contains(width), sides.contains(height), bytes.count == width * height * 4 else { return nil }
    self.width = width
    self.height = height
    self.bytes = bytes
  }
}

/// A colour as written in the tree, `#RRGGBB`: sRGB, full range.
public struct PaintColor: Sendable, Hashable {
  public var red: UInt8
  public var green: UInt8
  public var blue: UInt8

  public init(red: UInt8, green: UInt8, blue: UInt8) {
    self.red = red
    self.green = green
    self.blue = blue
  }
}

/// A point of a picture in pixels; may lie outside.
public struct PicturePoint: Sendable, Hashable {
  public var x: Int
  public var y: Int

  public init(x: Int, y: Int) {
    self.x = x
    self.y = y
  }
}

/// What a region draws, relative to where it lies.
public enum Drawing: Sendable, Equatable {
  /// A bitmap; each pixel's alpha is multiplied by `alpha` (0...255).
  case canvas(CanvasPixels, alpha: UInt8)
  /// A filled rectangle, or with `thickness` its frame, drawn inwards.
  case cover(width: Int, height: Int, color: PaintColor, thickness: Int?)
  /// A filled quadrangle, or with `thickness` its outline. Its corners in order around it.
  case quadrangle([PicturePoint], color: PaintColor, thickness: Int?)
  /// Squares of one colour each, of `block` pixels (8, 16, 32, 64): the mean of what was there.
  case mosaic(width: Int, height: Int, block: Int)
  /// A line from one point to another, `thickness` pixels wide.
  case line(from: PicturePoint, to: PicturePoint, color: PaintColor, thickness: Int)
}

/// A drawing with its place in a picture. What lies outside is cut off.
public struct PlacedDrawing: Sendable, Equatable {
  public var drawing: Drawing
  /// Left and top edge in pixels of the picture.
  public var x: Int
  public var y: Int
  /// Higher lies above.
  public var layer: Int

  public init(_ drawing: Drawing, x: Int, y: Int, layer: Int) {
    self.drawing = drawing
    self.x = x
    self.y = y
    self.layer = layer
  }
}

/// Prepares what is drawn into pictures. Any thread, several calls at once.
public protocol Painter: Sendable {
  /// Name and, where it is a library, version.
  var engine: String { get }
  /// What it can draw into.
  var formats: [PixelFormat] { get }

  /// Does once what does not depend on a picture's content: colours in the matrix and range of `layout`, alpha in its sampling,
  /// what is cut off. The work of a picture's time; not for a frame's path.
  /// - Parameter placed: in any order; those with the same layer are drawn in the order given.
  /// - Throws: ENOTSUP for a format it cannot draw into.
  func prepare(_ placed: [PlacedDrawing], for layout: FrameLayout) throws(Failure) -> any PreparedDrawings
}

/// Drawings made ready for pictures of one layout. Immutable: any thread, several frames at once.
public protocol PreparedDrawings: AnyObject, Sendable {
  /// What they were made for; frames of another layout are refused.
  var layout: FrameLayout { get }
  /// Nothing is drawn: all lies outside, or nothing was given.
  var isEmpty: Bool { get }

  /// Draws into a frame that nobody else looks at.
  /// - Returns: bytes of pixels written.
  /// - Throws: EINVAL for a frame of another layout, what mapping says.
  func paint(on frame: borrowing Frame) throws(Failure) -> Int
}

/// Reads a picture file into a canvas.
public protocol PictureFileReader: Sendable {
  /// `PNG`
  var format: String { get }
  /// Whether the file begins as one of this format.
  func recognises(_ bytes: [UInt8]) -> Bool
  /// - Parameter limit: pixels it may have; known before memory is taken for them.
  /// - Throws: EILSEQ for a damaged file, EFBIG above the limit.
  func read(_ bytes: [UInt8], limit: Int) throws(Failure) -> CanvasPixels
}

/// How text is drawn.
public struct TextStyle: Sendable, Hashable {
  /// Height of a line in pixels.
  public var size: Int
  public var color: PaintColor
  /// Of the outline around each letter; `nil` for none.
  public var outline: PaintColor?

  public init(size: Int, color: PaintColor, outline: PaintColor? = nil) {
    self.size = size
    self.color = color
    self.outline = outline
  }
}

/// Draws lines of text. Serial use by its owner.
public protocol TextRenderer: AnyObject, Sendable {
  /// Library and font: `FreeType 2.12.1, DejaVu Sans`.
  var engine: String { get }
  /// - Returns: the line as a bitmap as wide as it needs, one line high.
  /// - Throws: ENOENT where no font is found, EFBIG above `limit` pixels.
  func render(_ text: String, _ style: TextStyle, limit: Int) throws(Failure) -> CanvasPixels
}
