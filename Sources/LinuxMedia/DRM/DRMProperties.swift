// SPDX-License-Identifier: Apache-2.0
internal import CDRM

/// What a property belongs to.
public enum DRMObjectKind: UInt32, Sendable {
  case crtc = 0xcccc_cccc
  case connector = 0xc0c0_c0c0
  case plane = 0xeeee_eeee
}

/// One property of one object, with its value when it was asked.
public struct DRMProperty: Sendable, Equatable {
  public var id: UInt32
  public var value: UInt64
  public var isImmutable: Bool
  /// The values of an enumeration by name; empty for other properties.
  public var choices: [String: UInt64]
}

extension DRMCard {
  /// The properties of an object by name. Drivers number them as they like.
  public func properties(
    of object: UInt32, _ kind: DRMObjectKind
  ) throws(KernelError) -> [String: DRMProperty] {
    var request = drm_mode_obj_get_properties()
    (request.obj_id, request.obj_type) = (object, kind.rawValue)
    try call("DRM_IOCTL_MODE_OBJ_GETPROPERTIES", mpifs_DRM_IOCTL_MODE_OBJ_GETPROPERTIES, &request)
    var ids = [UInt32](repeating: 0, count: Int(request.count_props))
    var values = [UInt64](repeating: 0, count: Int(request.count_props))
    try call(
      "DRM_IOCTL_MODE_OBJ_GETPROPERTIES", mpifs_DRM_IOCTL_MODE_OBJ_GETPROPERTIES, &request, \.props_ptr, &ids,
      \.prop_values_ptr, &values)
    var found: [String: DRMProperty] = [:]
    for index in 0..<min(ids.count, Int(request.count_props)) {
      let (name, property) = try describe(ids[index], value: values[index])
      found[name] = property
    }
    return found
  }

  private func describe(_ id: UInt32, value: UInt64) throws(KernelError) -> (String, DRMProperty) {
    var request = drm_mode_get_property()
    request.prop_id = id
    try call("DRM_IOCTL_MODE_GETPROPERTY", mpifs_DRM_IOCTL_MODE_GETPROPERTY, &request)
    let flags = request.flags
    var property = DRMProperty(
      id: id, value: value, isImmutable: flags & UInt32(DRM_MODE_PROP_IMMUTABLE) != 0, choices: [:])
    let name = text(request.name)
    if flags & UInt32(DRM_MODE_PROP_ENUM) != 0, request.count_enum_blobs > 0 {
      var choices = [drm_mode_property_enum](
        repeating: drm_mode_property_enum(), count: Int(request.count_enum_blobs))
      request.count_values = 0
      try call("DRM_IOCTL_MODE_GETPROPERTY", mpifs_DRM_IOCTL_MODE_GETPROPERTY, &request, \.enum_blob_ptr, &choices)
      for choice in choices { property.choices[text(choice.name)] = choice.value }
    }
    return (name, property)
  }

  /// The bytes of a blob property's value; empty for value 0.
  /// - Throws: ENOENT when the blob is gone.
  public func blob(_ id: UInt32) throws(KernelError) -> [UInt8] {
    guard id != 0 else { return [] }
    var request = drm_mode_get_blob()
    request.blob_id = id
    try call("DRM_IOCTL_MODE_GETPROPBLOB", mpifs_DRM_IOCTL_MODE_GETPROPBLOB, &request)
    var bytes = [UInt8](repeating: 0, count: Int(request.length))
    try call("DRM_IOCTL_MODE_GETPROPBLOB", mpifs_DRM_IOCTL_MODE_GETPROPBLOB, &request, \.data, &bytes)
    return bytes
  }

  /// A blob for a mode to be set.
  public func blob(of mode: DRMMode) throws(KernelError) -> DRMBlob {
    try blob(bytes: withUnsafeBytes(of: mode.info) { Array($0) })
  }

  public func blob(bytes: [UInt8]) throws(KernelError) -> DRMBlob {
    var bytes = bytes
    var request = drm_mode_create_blob()
    request.length = UInt32(bytes.count)
    try call("DRM_IOCTL_MODE_CREATEPROPBLOB", mpifs_DRM_IOCTL_MODE_CREATEPROPBLOB, &request, \.data, &bytes)
    return DRMBlob(id: request.blob_id, card: self)
  }
}

/// Owns a blob made for a property. The state it was committed to keeps it as long as it needs it.
public final class DRMBlob: Sendable {
  public let id: UInt32
  private let card: DRMCard

  init(id: UInt32, card: DRMCard) {
    self.id = id
    self.card = card
  }

  deinit {
    var request = drm_mode_destroy_blob(blob_id: id)
    _ = card.attempt(mpifs_DRM_IOCTL_MODE_DESTROYPROPBLOB, &request)
  }
}
