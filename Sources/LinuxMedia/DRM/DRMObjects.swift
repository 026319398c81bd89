// SPDX-License-Identifier: Apache-2.0
internal import CDRM
internal import CLinux

/// Where a monitor is plugged in.
public struct DRMConnector: Sendable {
  public enum Status: Sendable { case connected, disconnected, unknown }

  public var id: UInt32
  /// As modetest and sysfs print it: `HDMI-A-1`.
  public var name: String
  public var status: Status
  public var modes: [DRMMode]
  /// Encoders it can be driven by, and the one that does (0: none).
  public var encoders: [UInt32]
  public var encoder: UInt32
  /// Not a monitor but a way to read back what a CRTC shows.
  public var isWriteback: Bool
}

/// What scans pictures out.
public struct DRMCRTC: Sendable {
  public var id: UInt32
  /// Its place in the card's list: the bit that stands for it in masks.
  public var index: Int
  /// What it shows now.
  public var mode: DRMMode?
}

/// A picture in front of or behind others on a CRTC.
public struct DRMPlane: Sendable {
  public enum Kind: UInt64, Sendable {
    case overlay = 0
    case primary = 1
    case cursor = 2
  }

  public var id: UInt32
  /// A bit for each CRTC it can be shown on.
  public var crtcs: UInt32
  /// The one it is shown on now; 0: none.
  public var crtc: UInt32
  /// DRM fourccs it takes.
  public var formats: [UInt32]

  public init(id: UInt32, crtcs: UInt32, crtc: UInt32, formats: [UInt32]) {
    self.id = id
    self.crtcs = crtcs
    self.crtc = crtc
    self.formats = formats
  }
}

/// What a card has, by number.
public struct DRMResources: Sendable {
  public var crtcs: [UInt32]
  public var connectors: [UInt32]
}

extension DRMCard {
  /// - Throws: EOPNOTSUPP when the card has no mode setting.
  public func resources() throws(KernelError) -> DRMResources {
    while true {
      var counts = drm_mode_card_res()
      try call("DRM_IOCTL_MODE_GETRESOURCES", mpifs_DRM_IOCTL_MODE_GETRESOURCES, &counts)
      var crtcs = [UInt32](repeating: 0, count: Int(counts.count_crtcs))
      var connectors = [UInt32](repeating: 0, count: Int(counts.count_connectors))
      var request = drm_mode_card_res()
      (request.count_crtcs, request.count_connectors) = (counts.count_crtcs, counts.count_connectors)
      try call(
        "DRM_IOCTL_MODE_GETRESOURCES", mpifs_DRM_IOCTL_MODE_GETRESOURCES, &request, \.crtc_id_ptr, &crtcs,
        \.connector_id_ptr, &connectors)
      // A connector (DisplayPort's daisy chains) may have come between the calls.
      guard request.count_crtcs <= counts.count_crtcs, request.count_connectors <= counts.count_connectors else {
        continue
      }
      return DRMResources(
        crtcs: Array(crtcs.prefix(Int(request.count_crtcs))),
        connectors: Array(connectors.prefix(Int(request.count_connectors))))
    }
  }

  /// - Parameter probe: asks the monitor, which takes tens of milliseconds and makes some flicker; else what the kernel
  ///   knows already. Only the master's request makes the kernel probe.
  /// - Throws: ENOENT when it is gone.
  public func connector(_ id: UInt32, probe: Bool) throws(KernelError) -> DRMConnector {
    var probe = probe
    while true {
      // Room for no mode is the request to probe.
      var spare = [drm_mode_modeinfo()]
      var counts = drm_mode_get_connector()
      counts.connector_id = id
      counts.count_modes = probe ? 0 : 1
      try call("DRM_IOCTL_MODE_GETCONNECTOR", mpifs_DRM_IOCTL_MODE_GETCONNECTOR, &counts, \.modes_ptr, &spare)
      probe = false
      var modes = [drm_mode_modeinfo](repeating: drm_mode_modeinfo(), count: max(1, Int(counts.count_modes)))
      var encoders = [UInt32](repeating: 0, count: Int(counts.count_encoders))
      var request = drm_mode_get_connector()
      request.connector_id = id
      (request.count_modes, request.count_encoders) = (UInt32(modes.count), counts.count_encoders)
      try call(
        "DRM_IOCTL_MODE_GETCONNECTOR", mpifs_DRM_IOCTL_MODE_GETCONNECTOR, &request, \.modes_ptr, &modes,
        \.encoders_ptr, &encoders)
      guard request.count_modes <= UInt32(modes.count), request.count_encoders <= UInt32(encoders.count) else {
        continue
      }
      let type = drmModeGetConnectorTypeName(request.connector_type).map { String(cString: $0) } ?? "Unknown"
      let status: DRMConnector.Status =
        switch request.connection {
        case 1: .connected
        case 2: .disconnected
        default: .unknown
        }
      return DRMConnector(
        id: id, name: "\(type)-\(request.connector_type_id)", status: status,
        modes: modes.prefix(Int(request.count_modes)).map { DRMMode($0) },
        encoders: Array(encoders.prefix(Int(request.count_encoders))), encoder: request.encoder_id,
        isWriteback: request.connector_type == UInt32(DRM_MODE_CONNECTOR_WRITEBACK))
    }
  }

  /// All connectors, each asked once.
  /// - Parameter probe: as for ``connector(_:probe:)``.
  public func connectors(probe: Bool) throws(KernelError) -> [DRMConnector] {
    var found: [DRMConnector] = []
    for id in try resources().connectors { found.append(try connector(id, probe: probe)) }
    return found
  }

  /// The CRTCs an encoder can be driven by (a bit for each), and the one that does (0: none).
  public func encoder(_ id: UInt32) throws(KernelError) -> (crtcs: UInt32, crtc: UInt32) {
    var request = drm_mode_get_encoder()
    request.encoder_id = id
    try call("DRM_IOCTL_MODE_GETENCODER", mpifs_DRM_IOCTL_MODE_GETENCODER, &request)
    return (request.possible_crtcs, request.crtc_id)
  }

  public func crtc(_ id: UInt32, index: Int) throws(KernelError) -> DRMCRTC {
    var request = drm_mode_crtc()
    request.crtc_id = id
    try call("DRM_IOCTL_MODE_GETCRTC", mpifs_DRM_IOCTL_MODE_GETCRTC, &request)
    return DRMCRTC(id: id, index: index, mode: request.mode_valid != 0 ? DRMMode(request.mode) : nil)
  }

  /// All planes, once ``enableAtomic()`` made them visible.
  public func planes() throws(KernelError) -> [DRMPlane] {
    var counts = drm_mode_get_plane_res()
    try call("DRM_IOCTL_MODE_GETPLANERESOURCES", mpifs_DRM_IOCTL_MODE_GETPLANERESOURCES, &counts)
    var ids = [UInt32](repeating: 0, count: Int(counts.count_planes))
    try call(
      "DRM_IOCTL_MODE_GETPLANERESOURCES", mpifs_DRM_IOCTL_MODE_GETPLANERESOURCES, &counts, \.plane_id_ptr, &ids)
    var found: [DRMPlane] = []
    for id in ids.prefix(Int(counts.count_planes)) { found.append(try plane(id)) }
    return found
  }

  private func plane(_ id: UInt32) throws(KernelError) -> DRMPlane {
    var request = drm_mode_get_plane()
    request.plane_id = id
    try call("DRM_IOCTL_MODE_GETPLANE", mpifs_DRM_IOCTL_MODE_GETPLANE, &request)
    var formats = [UInt32](repeating: 0, count: Int(request.count_format_types))
    try call("DRM_IOCTL_MODE_GETPLANE", mpifs_DRM_IOCTL_MODE_GETPLANE, &request, \.format_type_ptr, &formats)
    return DRMPlane(
      id: id, crtcs: request.possible_crtcs, crtc: request.crtc_id,
      formats: Array(formats.prefix(Int(request.count_format_types))))
  }
}
