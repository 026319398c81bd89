// SPDX-License-Identifier: Apache-2.0
internal import CV4LConvert
internal import Glibc
internal import SystemPackage

/// One converter of libv4lconvert (LGPL-2.1): a sensor's mosaic, a vendor's packing to 4:2:0. Owns it. Serial use.
public struct VendorConverter: ~Copyable, Sendable {
  // Sendable by hand: the library keeps nothing by thread, and who has the value is the only one to use it.
  private nonisolated(unsafe) let data: OpaquePointer

  /// - Throws: ENOMEM.
  public init() throws(KernelError) {
    guard let data = mpifs_v4lconvert_create() else {
      throw KernelError(.noMemory, "v4lconvert_create", on: "libv4lconvert")
    }
    self.data = data
  }

  deinit { v4lconvert_destroy(data) }

  /// Converts one picture to YU12: three planes without gaps, `width` bytes a line of the first.
  ///
  /// - Parameters:
  ///   - bytesPerLine: of the picture; 0 for compressed ones.
  ///   - picture: all of it; the library reads as many bytes as its format and size have, which the caller has checked.
  /// - Throws: what the library says: ENOTSUP or EINVAL a format it does not take, EPIPE a picture that is too short or
  ///   damaged.
  public func convert(
    _ fourcc: FourCC, width: Int, height: Int, bytesPerLine: Int, _ picture: UnsafeRawBufferPointer,
    to target: UnsafeMutableRawBufferPointer
  ) throws(KernelError) {
    guard let from = picture.baseAddress, let to = target.baseAddress else { return }
    let result = mpifs_v4lconvert_to_yu12(
      data, fourcc.rawValue, UInt32(clamping: width), UInt32(clamping: height), UInt32(clamping: bytesPerLine),
      UnsafeMutablePointer(mutating: from.assumingMemoryBound(to: UInt8.self)), CInt(clamping: picture.count),
      to.assumingMemoryBound(to: UInt8.self), CInt(clamping: target.count))
    if result < 0 {
      var reason = String(cString: v4lconvert_get_error_message(data))
      while reason.last?.isNewline ?? false { reason.removeLast() }
      throw KernelError(Errno(rawValue: -result), reason, on: "libv4lconvert")
    }
  }
}
