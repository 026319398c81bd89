// SPDX-License-Identifier: Apache-2.0
import CYUV
public import MediaCore

/// Scaling, cropping, turning and conversion on the CPU: planes are scaled by this project's own kernels, everything else is
/// libyuv's (BSD).
public struct LibYUVScalerFactory: ScalerFactory {
  public init() {}
  public var name: String { "libyuv" }
  public var isHardware: Bool { false }

  public func supports(from: PixelFormat, to: PixelFormat, transform: PictureTransform) -> Bool {
    PixelConverter.inputs.contains(from) && PixelConverter.formats.contains(to) && transform.rotation % 90 == 0
  }

  public func open() throws(Failure) -> any Scaler { LibYUVScaler() }
}

/// One output of a scaler on the CPU. Owns its scratch memory; serial use by its session.
final class LibYUVScaler: Scaler, @unchecked Sendable {
  let engine = "libyuv \(LIBYUV_VERSION)"
  private let converter = PixelConverter()

  func engine(
    for from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout
  ) -> String {
    var (width, height) = (Int(to.width), Int(to.height))
    if Orientation(transform).swapsAxes { swap(&width, &height) }
    let kernel = PlaneScaling.name(
      from: (crop?.width ?? Int(from.width), crop?.height ?? Int(from.height)), to: (width, height))
    guard let kernel else { return engine }
    // Planes that go over as they are: nothing is left for libyuv.
    let isAlone =
      from.format.is420 && from.format == to.format && Orientation(transform).turn == .none
      && from.color.hasSameSamples(as: to.color == .unspecified ? from.color : to.color)
    return isAlone ? kernel : "\(engine), \(kernel)"
  }

  func scale(
    _ source: borrowing Frame, crop: Rectangle?, transform: PictureTransform, to destination: inout Frame
  ) throws(Failure) -> Int {
    guard transform.rotation % 90 == 0 else {
      throw Failure(.invalidArgument, "scale", on: "libyuv", "rotation is 0, 90, 180 or 270 degrees")
    }
    var from = try source.beginPixels(write: false)
    let into: Pixels
    do throws(Failure) {
      if let crop { from = try cropped(from, crop) }
      into = try destination.beginPixels(write: true)
    } catch {
      try source.endPixels(write: false)
      throw error
    }
    let result: Result<Int, Failure>
    do throws(Failure) {
      result = .success(try converter.convert(from, Orientation(transform), to: into))
    } catch {
      result = .failure(error)
    }
    try destination.endPixels(write: true)
    try source.endPixels(write: false)
    return try result.get()
  }

  private func cropped(_ p: Pixels, _ crop: Rectangle) throws(Failure) -> Pixels {
    guard crop.x >= 0, crop.y >= 0, crop.width >= 1, crop.height >= 1, crop.x % 2 == 0, crop.y % 2 == 0,
      crop.width <= p.width - crop.x, crop.height <= p.height - crop.y
    else {
      throw Failure(
        .invalidArgument, "crop", on: "\(p.width)x\(p.height) frame",
        "\(crop.x),\(crop.y),\(crop.width),\(crop.height) is not inside it on even coordinates")
    }
    var part = p
    part.width = crop.width
    part.height = crop.height
    switch p.format {
    case .i420:
      part.plane0 = p.plane0.at(row: crop.y, column: crop.x)
      part.plane1 = p.plane1.at(row: crop.y / 2, column: crop.x / 2)
      part.plane2 = p.plane2.at(row: crop.y / 2, column: crop.x / 2)
    case .nv12, .nv21:
      part.plane0 = p.plane0.at(row: crop.y, column: crop.x)
      part.plane1 = p.plane1.at(row: crop.y / 2, column: crop.x)
    case .nv16:
      part.plane0 = p.plane0.at(row: crop.y, column: crop.x)
      part.plane1 = p.plane1.at(row: crop.y, column: crop.x)
    case .p010:
      part.plane0 = p.plane0.at(row: crop.y, column: crop.x * 2)
      part.plane1 = p.plane1.at(row: crop.y / 2, column: crop.x * 2)
    case .yuyv, .uyvy: part.plane0 = p.plane0.at(row: crop.y, column: crop.x * 2)
    case .rgb24, .bgr24: part.plane0 = p.plane0.at(row: crop.y, column: crop.x * 3)
    case .grey: part.plane0 = p.plane0.at(row: crop.y, column: crop.x)
    default: part.plane0 = p.plane0.at(row: crop.y, column: crop.x * 4)
    }
    return part
  }
}
