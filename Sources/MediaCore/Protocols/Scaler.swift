// SPDX-License-Identifier: Apache-2.0

/// A rectangle of pixels.
public struct Rectangle: Sendable, Hashable {
  public var x: Int
  public var y: Int
  public var width: Int
  public var height: Int
  public init(x: Int, y: Int, width: Int, height: Int) {
    self.x = x
    self.y = y
    self.width = width
    self.height = height
  }
}

/// What happens to a picture on its way through one output of a scaler, besides size and format.
/// Mirror and flip come first, then the rotation.
public struct PictureTransform: Sendable, Hashable {
  /// Degrees clockwise: 0, 90, 180, 270.
  public var rotation: Int = 0
  public var mirror: Bool = false
  public var flip: Bool = false
  public init() {}
  public var isIdentity: Bool { rotation == 0 && !mirror && !flip }
}

/// Scales, crops, converts and turns pictures. Called serially by its session.
public protocol Scaler: AnyObject, Sendable {
  /// Engine and version: `libyuv 1857`.
  var engine: String { get }
  /// The same for one work, with what does it: `mpifs 3:2 AVX2`.
  func engine(
    for from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout
  ) -> String
  /// What is done by whom, in order, where more than one engine is at it.
  func steps(
    for from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout
  ) -> [(step: String, by: String)]
  /// Makes `destination`'s pixels from `source`'s. The destination's buffer is new and only held by the caller.
  /// - Parameter crop: part of the source to use, inside it and on even coordinates; `nil` for all.
  /// - Returns: bytes of pixels the CPU wrote, for the count of bytes copied (0 for a device).
  func scale(
    _ source: borrowing Frame, crop: Rectangle?, transform: PictureTransform, to destination: inout Frame
  ) throws(Failure) -> Int
}

extension Scaler {
  public func engine(
    for from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout
  ) -> String { engine }

  public func steps(
    for from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout
  ) -> [(step: String, by: String)] { [] }
}

/// Makes scalers of one engine.
public protocol ScalerFactory: Sendable {
  /// The name `backend` takes: `libyuv` (`software`), `/dev/video12`.
  var name: String { get }
  var isHardware: Bool { get }
  /// Whether this pair of formats and this transform can be done.
  func supports(from: PixelFormat, to: PixelFormat, transform: PictureTransform) -> Bool
  func open() throws(Failure) -> any Scaler
  /// Whether this very work can be done; a device has limits of size besides its formats.
  /// - Parameter to: layout of the picture that leaves, turned pictures on their side.
  func supports(_ from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout) -> Bool
  /// Opens a scaler for this work, so that what a device refuses is known before the first frame. The scaler takes
  /// other work too.
  func open(
    _ from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout
  ) throws(Failure) -> any Scaler
}

extension ScalerFactory {
  /// The device its frames wait for, `nil` where the CPU scales.
  public var device: String? { isHardware ? name : nil }

  public func supports(_ from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout) -> Bool {
    supports(from: from.format, to: to.format, transform: transform)
  }

  public func open(
    _ from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout
  ) throws(Failure) -> any Scaler { try open() }
}

/// Makes a JPEG of a frame, for `snapshot.jpg`. Works on any thread, one call at a time for an instance.
public protocol PictureEncoder: AnyObject, Sendable {
  /// - Returns: a complete JPEG file.
  func jpeg(_ frame: borrowing Frame, quality: Int) throws(Failure) -> [UInt8]
}
