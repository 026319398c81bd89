// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// One thing to try: which plane shows what, where.
struct PlaneCandidate: Equatable {
  enum Picture: Equatable {
    /// The frame as it is.
    case frame
    /// Made of it in this format and size, in a buffer of just that size.
    case made(PixelFormat, width: Int, height: Int)
    /// Made of it inside a picture of the whole screen.
    case composed(PixelFormat)
  }
  /// Index among the planes there are.
  var plane: Int
  var picture: Picture
  /// Where the plane stands on the screen.
  var place: Rectangle
}

/// What the choice needs to know of a plane.
struct PlaneTraits: Equatable {
  var kind: DRMPlane.Kind
  /// Formats it takes, as the runtime names them.
  var formats: [PixelFormat]
}

/// In which order ways onto the screen are tried; the device decides, by a commit that only tests.
enum PlaneChoice {
  /// What is made of frames no plane takes, by how much the CPU has to write.
  private static let planar: [PixelFormat] = [.nv12, .nv16, .yuyv, .uyvy, .xrgb8888]

  /// - Parameters:
  ///   - frame: the picture that comes; `canImport`: whether the device can reach its memory.
  ///   - rectangle: where on the screen it is to be.
  ///   - planes: those nobody else uses. The cursor's are not for video.
  static func candidates(
    frame: FrameLayout, canImport: Bool, rectangle: Rectangle, screen: (width: Int, height: Int), planes: [PlaneTraits]
  ) -> [PlaneCandidate] {
    let isWhole = rectangle == Rectangle(x: 0, y: 0, width: screen.width, height: screen.height)
    let usable = planes.indices.filter { planes[$0].kind != .cursor }
    // The primary plane is the one for whole screens: many drivers let only others be smaller.
    let order = usable.sorted { a, b in
      let first = planes[a].kind == .primary
      let second = planes[b].kind == .primary
      return first == second ? a < b : first == isWhole
    }
    let (width, height) = (Int(frame.width), Int(frame.height))
    var found: [PlaneCandidate] = []
    if canImport, let format = scannedOut(frame.format) {
      for plane in order where planes[plane].formats.contains(format) {
        found.append(PlaneCandidate(plane: plane, picture: .frame, place: rectangle))
      }
    }
    // Scaling up costs nothing in a plane and much on the CPU.
    if width * height < rectangle.width * rectangle.height {
      for plane in order {
        guard let format = format(for: frame.format, planes[plane]) else { continue }
        found.append(
          PlaneCandidate(plane: plane, picture: .made(format, width: width, height: height), place: rectangle))
      }
    }
    for plane in order {
      guard let format = format(for: frame.format, planes[plane]) else { continue }
      found.append(
        PlaneCandidate(
          plane: plane, picture: .made(format, width: rectangle.width, height: rectangle.height), place: rectangle))
    }
    if !isWhole {
      for plane in order where planes[plane].kind == .primary && planes[plane].formats.contains(.xrgb8888) {
        found.append(
          PlaneCandidate(
            plane: plane, picture: .composed(.xrgb8888),
            place: Rectangle(x: 0, y: 0, width: screen.width, height: screen.height)))
      }
    }
    return found
  }

  /// What a frame's format is to a plane: what is see-through in it does not matter here.
  static func scannedOut(_ format: PixelFormat) -> PixelFormat? {
    format == .argb8888 ? .xrgb8888 : DisplayFormat.fourcc(format) == nil ? nil : format
  }

  private static func format(for frame: PixelFormat, _ plane: PlaneTraits) -> PixelFormat? {
    (frame.isRGB ? planar.reversed() : planar).first { plane.formats.contains($0) }
  }
}

/// The runtime's formats in DRM's words (kernel: `drm_fourcc.h`), which names RGB by the order in a register where V4L2
/// names the order in memory.
enum DisplayFormat {
  private static let pairs: [(PixelFormat, PixelFormat)] = [
    (.nv12, .nv12), (.nv21, .nv21), (.nv16, .nv16), (.i420, .i420), (.yuyv, .yuyv), (.uyvy, .uyvy),
    (.xrgb8888, .xrgb8888), (.xbgr8888, .xbgr8888), (.rgb24, PixelFormat("BG24")), (.bgr24, PixelFormat("RG24")),
  ]

  /// DRM's code for a format of the runtime's; `nil` where there is none.
  static func fourcc(_ format: PixelFormat) -> UInt32? { pairs.first { $0.0 == format }?.1.rawValue }
  static func format(_ fourcc: UInt32) -> PixelFormat? { pairs.first { $0.1.rawValue == fourcc }?.0 }

  /// Size in which a dumb buffer must be asked for to hold a picture.
  static func extent(_ format: PixelFormat, width: Int, height: Int) -> (width: Int, lines: Int, bits: Int) {
    switch format {
    case .nv12, .nv21, .i420: (width, height + (height + 1) / 2, 8)
    case .nv16: (width, height * 2, 8)
    case .yuyv, .uyvy: (width, height, 16)
    default: (width, height, 32)
    }
  }

  /// The picture in memory whose lines are `pitch` bytes apart.
  static func layout(_ format: PixelFormat, width: Int, height: Int, pitch: Int) -> FrameLayout {
    let first = Plane(offset: 0, stride: Int32(pitch), lines: Int32(height))
    let chroma = format == .nv16 ? height : (height + 1) / 2
    let color: ColorDescription = format.isRGB ? .rgb : .bt601
    switch format {
    case .nv12, .nv21, .nv16:
      return FrameLayout(
        format: format, width: width, height: height, plane0: first,
        plane1: Plane(offset: Int32(pitch * height), stride: Int32(pitch), lines: Int32(chroma)), color: color)
    default:
      return FrameLayout(format: format, width: width, height: height, plane0: first, color: color)
    }
  }

  /// The part of a 32-bit picture that is `part`.
  static func part(_ whole: FrameLayout, _ part: Rectangle) -> FrameLayout {
    let stride = Int(whole.plane0.stride)
    return FrameLayout(
      format: whole.format, width: part.width, height: part.height,
      plane0: Plane(
        offset: Int32(part.y * stride + part.x * 4), stride: Int32(stride), lines: Int32(part.height)),
      color: whole.color)
  }
}
