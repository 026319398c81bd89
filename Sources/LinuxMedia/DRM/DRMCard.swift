// SPDX-License-Identifier: Apache-2.0
internal import CDRM
internal import CLinux

/// An open DRM device node, `/dev/dri/cardN`.
public struct DRMCard: ~Copyable, Sendable {
  public static let directory = "/dev/dri"
  public let path: String
  private let descriptor: Descriptor

  /// - Throws: ENOENT, EACCES.
  public init(_ path: String, kernel: any Kernel = LinuxKernel()) throws(KernelError) {
    self.path = path
    descriptor = try Descriptor(opening: path, O_RDWR, kernel: kernel)
  }

  /// Borrowed, for libdrm's calls.
  public var raw: CInt { descriptor.raw }

  /// `vkms`, `rockchip`; `nil` when it is no DRM device.
  public var driver: String? {
    guard let version = drmGetVersion(descriptor.raw) else { return nil }
    defer { drmFreeVersion(version) }
    return version.pointee.name.map { String(cString: $0) }
  }

  /// Whether dumb buffers can be made: what a display without 3D needs.
  public var hasDumbBuffers: Bool {
    var value: UInt64 = 0
    return drmGetCap(descriptor.raw, UInt64(DRM_CAP_DUMB_BUFFER), &value) == 0 && value != 0
  }

  /// Names and states of the connectors as modetest prints them: `HDMI-A-1`; empty without mode setting.
  public var connectors: [(name: String, connected: Bool)] {
    guard let resources = drmModeGetResources(descriptor.raw) else { return [] }
    defer { drmModeFreeResources(resources) }
    return (0..<Int(resources.pointee.count_connectors)).compactMap { index in
      // The current state: asking for a new probe would make a monitor flicker.
      guard let connector = drmModeGetConnectorCurrent(descriptor.raw, resources.pointee.connectors[index]) else {
        return nil
      }
      defer { drmModeFreeConnector(connector) }
      let type = drmModeGetConnectorTypeName(connector.pointee.connector_type).map { String(cString: $0) } ?? "Unknown"
      return ("\(type)-\(connector.pointee.connector_type_id)", connector.pointee.connection == DRM_MODE_CONNECTED)
    }
  }
}
