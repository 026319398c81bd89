// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// Formats of a raw bitmap, as they are called in the tree.
enum CanvasFormat: String, CaseIterable, Sendable {
  case argb8888, argb4444, argb1555
  case palette2 = "2bpp"

  var raw: RawBitmap.Format {
    switch self {
    case .argb8888: .argb8888
    case .argb4444: .argb4444
    case .argb1555: .argb1555
    case .palette2: .twoBitsPerPixel
    }
  }

  var reported: PictureFormat {
    switch self {
    case .argb8888: .argb8888
    case .argb4444: .argb4444
    case .argb1555: .argb1555
    case .palette2: .palette2
    }
  }
}

/// What a region shows, as it was given.
struct RegionBitmap: Sendable, Equatable {
  let width: Int
  let height: Int
  let format: CanvasFormat
  /// As ``RawBitmap`` has them.
  let bytes: [UInt8]
  /// `PNG`, `raw`, ...
  let origin: String

  init(_ pixels: CanvasPixels, origin: String) {
    self.init(width: pixels.width, height: pixels.height, format: .argb8888, bytes: pixels.bytes, origin: origin)
  }

  private init(width: Int, height: Int, format: CanvasFormat, bytes: [UInt8], origin: String) {
    self.width = width
    self.height = height
    self.format = format
    self.bytes = bytes
    self.origin = origin
  }

  /// From a file that was written or read.
  /// - Parameters:
  ///   - width: pixels it must have; `nil` for any.
  ///   - height: the same.
  /// - Throws: EINVAL for one of another size, what the reader of its format says; EFBIG.
  init(
    _ file: [UInt8], width: Int?, height: Int?, format: CanvasFormat, readers: [any PictureFileReader],
    of path: ObjectPath
  ) throws(Failure) {
    func refusal(_ why: String) -> Failure { Failure(.invalidArgument, "bitmap", on: "\(path)", why) }
    guard !file.isEmpty else { throw refusal("is empty") }
    if let reader = readers.first(where: { $0.recognises(file) }) {
      let pixels = try reader.read(file, limit: RgnSettings.largestBitmap)
      guard width ?? pixels.width == pixels.width, height ?? pixels.height == pixels.height else {
        throw refusal(
          "is \(pixels.width)x\(pixels.height), not \(width ?? pixels.width)x\(height ?? pixels.height) as width and height say"
        )
      }
      self.init(pixels, origin: reader.format)
      return
    }
    guard let width, let height else {
      let known = readers.map { "a \($0.format) file" } + ["a raw bitmap with its width and height set"]
      throw refusal("is not \(known.joined(separator: ", or "))")
    }
    let raw = try RawBitmap(format.raw, width: width, height: height)
    guard width * height <= RgnSettings.largestBitmap else {
      throw Failure(.fileTooLarge, "bitmap", on: "\(path)", "more than \(RgnSettings.largestBitmap) pixels")
    }
    guard file.count == raw.byteCount else {
      throw refusal("has \(file.count) bytes; \(width)x\(height) \(format.rawValue) has \(raw.byteCount)")
    }
    self.init(width: width, height: height, format: format, bytes: file, origin: "raw")
  }

  /// What settings make of it.
  struct Look: Sendable, Equatable {
    /// Of its left part that is seen.
    var width: Int
    /// Of its upper part that is seen.
    var height: Int
    var palette: [RawBitmap.Entry]
    var foreground: UInt8
    var background: UInt8
  }

  /// As it is drawn.
  func pixels(_ look: Look) throws(Failure) -> CanvasPixels {
    let all = try RawBitmap(format.raw, width: width, height: height)
      .pixels(bytes, foreground: look.foreground, background: look.background, palette: look.palette)
    guard look.width < width || look.height < height else { return all }
    var part: [UInt8] = []
    part.reserveCapacity(look.width * look.height * 4)
    for line in 0..<look.height {
      let start = line * width * 4
      part += all.bytes[start..<(start + look.width * 4)]
    }
    return CanvasPixels(width: look.width, height: look.height, bytes: part) ?? all
  }
}

extension RegionBitmap.Look {
  init(_ settings: ObjectSettings, of bitmap: RegionBitmap) {
    width = min(settings.integer("width") ?? .max, bitmap.width)
    height = min(settings.integer("height") ?? .max, bitmap.height)
    foreground = UInt8(clamping: settings.integer("fg_alpha") ?? 255)
    background = UInt8(clamping: settings.integer("bg_alpha") ?? 0)
    let (others, first) = (foreground, background)
    palette = settings.palette("palette").enumerated().map {
      RawBitmap.Entry($0.element, alpha: $0.offset == 0 ? first : others)
    }
  }
}
