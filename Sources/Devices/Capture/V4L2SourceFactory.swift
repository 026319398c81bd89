// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
public import MediaCore

/// Opens capture devices for `vi/N/input = /dev/videoN`.
public struct V4L2SourceFactory: SourceFactory {
  private let accepted: [PixelFormat]
  private let convertible: [PixelFormat]
  private let kernel: any Kernel

  /// - Parameters:
  ///   - accepted: formats the runtime can work on.
  ///   - convertible: formats it can make those of, as JPEG pictures.
  public init(
    accepted: [PixelFormat] = V4L2CaptureSource.rawFormats, convertible: [PixelFormat] = [],
    kernel: any Kernel = LinuxKernel()
  ) {
    self.accepted = accepted
    self.convertible = convertible
    self.kernel = kernel
  }

  public func handles(_ input: InputSpecification) -> Bool {
    if case .device = input { true } else { false }
  }

  public func open(_ input: InputSpecification, _ request: SourceRequest) throws(Failure) -> any Source {
    guard case .device(let path) = input else {
      throw Failure(.invalidArgument, "open", on: "\(input)", "no device path")
    }
    return try V4L2CaptureSource(path, request, accepted: accepted, convertible: convertible, kernel: kernel)
  }
}
