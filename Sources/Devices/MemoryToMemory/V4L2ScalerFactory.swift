// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
public import MediaCore

/// The scaler of one V4L2 device, as found when the machine was looked over.
public struct V4L2ScalerFactory: ScalerFactory {
  public let name: String
  public var isHardware: Bool { true }
  private let taken: [PixelFormat: [SizeRange]]
  private let made: [PixelFormat: [SizeRange]]
  private let crops: Bool
  private let mirrors: Bool
  private let flips: Bool
  private let kernel: any Kernel

  /// Asks the device what it can do: for start-up and the control lane.
  ///
  /// - Returns: `nil` when it scales nothing the runtime knows.
  public init?(_ video: DeviceInventory.Video, kernel: any Kernel = LinuxKernel()) {
    guard video.role == .scaler, let device = try? V4L2Device(video.path, kernel: kernel),
      let output = device.outputType
    else { return nil }
    // No size told: any may be tried.
    func known(_ formats: [FourCC]) -> [PixelFormat: [SizeRange]] {
      var found: [PixelFormat: [SizeRange]] = [:]
      for fourcc in formats {
        guard let format = CaptureFormats.pixelFormat(of: fourcc), format != .mjpeg, found[format] == nil else {
          continue
        }
        found[format] = (try? device.sizes(of: fourcc)) ?? []
      }
      return found
    }
    taken = known(video.outputFormats)
    made = known(video.captureFormats)
    guard !taken.isEmpty, !made.isEmpty else { return nil }
    crops = (try? device.selection(.crop, of: output)) != nil
    mirrors = ((try? device.control(DeviceTurns.horizontal)) ?? nil) != nil
    flips = ((try? device.control(DeviceTurns.vertical)) ?? nil) != nil
    name = video.path
    self.kernel = kernel
  }

  /// Every scaler of this machine.
  public static func all(in inventory: DeviceInventory, kernel: any Kernel = LinuxKernel()) -> [V4L2ScalerFactory] {
    inventory.videos.compactMap { V4L2ScalerFactory($0, kernel: kernel) }
  }

  public func supports(from: PixelFormat, to: PixelFormat, transform: PictureTransform) -> Bool {
    let turns = DeviceTurns(transform)
    return taken[from] != nil && made[to] != nil && transform.rotation % 180 == 0 && (mirrors || !turns.mirrors)
      && (flips || !turns.flips)
  }

  public func supports(_ from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout) -> Bool {
    func has(_ ranges: [SizeRange]?, _ layout: FrameLayout) -> Bool {
      guard let ranges else { return false }
      return ranges.isEmpty || ranges.contains { $0.contains(width: Int(layout.width), height: Int(layout.height)) }
    }
    // What a device makes of colours is its own affair: it is trusted with those its driver takes for granted.
    let keepsColors =
      from.format.isRGB == to.format.isRGB
      ? from.format.isRGB || from.color.hasSameSamples(as: to.color)
      : (from.format.isRGB ? to : from).color.hasSameSamples(as: .bt601)
    return keepsColors && supports(from: from.format, to: to.format, transform: transform) && (crops || crop == nil)
      && has(taken[from.format], from) && has(made[to.format], to)
  }

  /// Opens the device without knowing the work: the smallest picture, to be set anew with the first frame.
  public func open() throws(Failure) -> any Scaler {
    guard let from = taken.keys.first, let to = made.keys.first,
      let input = FrameLayout(from, width: 320, height: 240), let output = FrameLayout(to, width: 320, height: 240)
    else { throw Failure(.notSupported, "open", on: name) }
    return try V4L2Scaler(name, ScalerWork(from: input, to: output), kernel: kernel)
  }

  public func open(
    _ from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout
  ) throws(Failure) -> any Scaler {
    try V4L2Scaler(name, ScalerWork(from: from, crop: crop, transform: transform, to: to), kernel: kernel)
  }
}
