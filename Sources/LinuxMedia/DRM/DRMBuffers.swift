// SPDX-License-Identifier: Apache-2.0
internal import CDRM
internal import CLinux
internal import Glibc

/// A picture in DMA-BUFs as a plane scans it out.
public struct FramebufferLayout: Sendable, Equatable {
  public struct Plane: Sendable, Equatable {
    public var descriptor: CInt
    public var pitch: UInt32
    public var offset: UInt32
    public init(descriptor: CInt, pitch: UInt32, offset: UInt32) {
      self.descriptor = descriptor
      self.pitch = pitch
      self.offset = offset
    }
  }
  public var width: UInt32
  public var height: UInt32
  /// DRM fourcc.
  public var format: UInt32
  public var planes: [Plane]

  public init(width: UInt32, height: UInt32, format: UInt32, planes: [Plane]) {
    self.width = width
    self.height = height
    self.format = format
    self.planes = planes
  }
}

/// Owns one framebuffer: a picture planes can show. Its memory lives as long as it does. Dropped while it is on a
/// screen, the kernel takes it off the screen first.
public final class Framebuffer: Sendable {
  public let id: UInt32
  private let card: DRMCard

  fileprivate init(id: UInt32, card: DRMCard) {
    self.id = id
    self.card = card
  }

  deinit {
    var id = id
    _ = card.attempt(mpifs_DRM_IOCTL_MODE_RMFB, &id)
  }
}

/// Memory a card gives for pictures the CPU makes.
public struct DumbBuffer: ~Copyable, Sendable {
  /// A DMA-BUF; what keeps the memory.
  public var descriptor: Descriptor
  /// Bytes from one line to the next, as the card needs it.
  public let pitch: Int
  public let size: Int

  /// Gives the descriptor away.
  public consuming func take() -> Descriptor { descriptor }
}

extension DRMCard {
  /// Imports the memory and makes a framebuffer of it.
  ///
  /// A GEM handle is closed again at once: the framebuffer keeps the memory.
  /// - Throws: what the driver says: EINVAL a layout it cannot scan out, ENODEV or EINVAL memory it cannot reach.
  public func framebuffer(_ layout: FramebufferLayout, isLinear: Bool = false) throws(KernelError) -> Framebuffer {
    try handles.withLock { (_) throws(KernelError) -> Framebuffer in
      var used: [UInt32] = []
      defer { for handle in used { close(handle: handle) } }
      var request = drm_mode_fb_cmd2()
      (request.width, request.height, request.pixel_format) = (layout.width, layout.height, layout.format)
      for (index, plane) in layout.planes.prefix(4).enumerated() {
        var prime = drm_prime_handle()
        prime.fd = plane.descriptor
        try call("DRM_IOCTL_PRIME_FD_TO_HANDLE", mpifs_DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime)
        // Planes in one memory have one handle, which is closed once.
        if !used.contains(prime.handle) { used.append(prime.handle) }
        put(prime.handle, index, &request.handles)
        put(plane.pitch, index, &request.pitches)
        put(plane.offset, index, &request.offsets)
      }
      if isLinear {
        // Modifier 0 is linear, and the array holds zeros.
        request.flags = UInt32(DRM_MODE_FB_MODIFIERS)
        if attempt(mpifs_DRM_IOCTL_MODE_ADDFB2, &request) >= 0 { return Framebuffer(id: request.fb_id, card: self) }
        request.flags = 0
      }
      try call("DRM_IOCTL_MODE_ADDFB2", mpifs_DRM_IOCTL_MODE_ADDFB2, &request)
      return Framebuffer(id: request.fb_id, card: self)
    }
  }

  /// New memory for `lines` lines of `width` pixels, not cleared by every driver.
  /// - Throws: ENOSYS no dumb buffers or no PRIME, ENOMEM.
  public func dumbBuffer(width: Int, lines: Int, bitsPerPixel: Int) throws(KernelError) -> DumbBuffer {
    try handles.withLock { (_) throws(KernelError) -> DumbBuffer in
      var request = drm_mode_create_dumb()
      (request.width, request.height, request.bpp) = (UInt32(width), UInt32(lines), UInt32(bitsPerPixel))
      try call("DRM_IOCTL_MODE_CREATE_DUMB", mpifs_DRM_IOCTL_MODE_CREATE_DUMB, &request)
      // The DMA-BUF keeps the memory; the handle has done its duty.
      defer { close(handle: request.handle) }
      var prime = drm_prime_handle()
      prime.handle = request.handle
      prime.flags = UInt32(O_CLOEXEC | O_RDWR)
      try call("DRM_IOCTL_PRIME_HANDLE_TO_FD", mpifs_DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime)
      return DumbBuffer(
        descriptor: Descriptor(owning: prime.fd, kernel: kernel), pitch: Int(request.pitch), size: Int(request.size))
    }
  }

  private func close(handle: UInt32) {
    var request = drm_gem_close(handle: handle, pad: 0)
    _ = attempt(mpifs_DRM_IOCTL_GEM_CLOSE, &request)
  }

  /// An element of an array the importer made a tuple of.
  private func put<Tuple>(_ value: UInt32, _ index: Int, _ tuple: inout Tuple) {
    withUnsafeMutableBytes(of: &tuple) { $0.storeBytes(of: value, toByteOffset: index * 4, as: UInt32.self) }
  }
}
