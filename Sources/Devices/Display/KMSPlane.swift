// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// A plane of a card with the numbers of its properties. Immutable once found; who shows what on it is the screen's
/// business.
final class KMSPlane {
  let id: UInt32
  let kind: DRMPlane.Kind
  let crtcs: UInt32
  /// What it takes, as the runtime names it.
  let formats: [PixelFormat]
  /// DRM codes of what it takes in plain lines, where it says so.
  let linear: [UInt32]
  private let ids: Numbers
  /// Properties whose value another program may have left unusual, with the usual one.
  private let usual: [(id: UInt32, value: UInt64)]
  let colors: PlaneColors
  /// Values when the screen was taken, to be put back.
  let found: [(id: UInt32, value: UInt64)]
  let crtcBefore: UInt32

  private struct Numbers {
    var fb: UInt32
    var crtc: UInt32
    var source: (x: UInt32, y: UInt32, w: UInt32, h: UInt32)
    var place: (x: UInt32, y: UInt32, w: UInt32, h: UInt32)
  }

  /// - Returns: `nil` when the driver does not describe it as atomic ones do.
  init?(_ plane: DRMPlane, on card: DRMCard) {
    guard let properties = try? card.properties(of: plane.id, .plane),
      let kind = properties["type"].flatMap({ DRMPlane.Kind(rawValue: $0.value) })
    else { return nil }
    func id(_ name: String) -> UInt32 { properties[name]?.id ?? 0 }
    ids = Numbers(
      fb: id("FB_ID"), crtc: id("CRTC_ID"), source: (id("SRC_X"), id("SRC_Y"), id("SRC_W"), id("SRC_H")),
      place: (id("CRTC_X"), id("CRTC_Y"), id("CRTC_W"), id("CRTC_H")))
    guard ids.fb != 0, ids.crtc != 0, ids.source.w != 0, ids.place.w != 0 else { return nil }
    self.id = plane.id
    self.kind = kind
    self.crtcs = plane.crtcs
    self.formats = plane.formats.compactMap { DisplayFormat.format($0) }
    let blob = (try? card.blob(UInt32(truncatingIfNeeded: properties["IN_FORMATS"]?.value ?? 0))) ?? []
    linear = PlaneFormats.linear(blob)
    var usual: [(UInt32, UInt64)] = []
    // Rotation 1 is upright.
    if let rotation = properties["rotation"] { usual.append((rotation.id, 1)) }
    if let alpha = properties["alpha"] { usual.append((alpha.id, 0xffff)) }
    colors = PlaneColors(encoding: properties["COLOR_ENCODING"], range: properties["COLOR_RANGE"])
    self.usual = usual
    crtcBefore = plane.crtc
    let kept = ["FB_ID", "CRTC_ID", "SRC_X", "SRC_Y", "SRC_W", "SRC_H", "CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H"]
    found = (kept + ["rotation", "alpha", "COLOR_ENCODING", "COLOR_RANGE"]).compactMap { name in
      properties[name].map { ($0.id, $0.value) }
    }
  }

  var name: String {
    switch kind {
    case .primary: "primary \(id)"
    case .overlay: "overlay \(id)"
    case .cursor: "cursor \(id)"
    }
  }

  var traits: PlaneTraits { PlaneTraits(kind: kind, formats: formats) }

  /// Shows a whole framebuffer in a place.
  func show(
    _ framebuffer: UInt32, width: Int, height: Int, _ color: ColorDescription, on crtc: UInt32, at place: Rectangle,
    in request: inout AtomicRequest
  ) {
    request.set(id, ids.fb, UInt64(framebuffer))
    request.set(id, ids.crtc, UInt64(crtc))
    request.set(id, ids.source.x, 0)
    request.set(id, ids.source.y, 0)
    // 16.16 fixed point.
    request.set(id, ids.source.w, UInt64(width) << 16)
    request.set(id, ids.source.h, UInt64(height) << 16)
    request.set(id, ids.place.x, UInt64(place.x))
    request.set(id, ids.place.y, UInt64(place.y))
    request.set(id, ids.place.w, UInt64(place.width))
    request.set(id, ids.place.h, UInt64(place.height))
    for property in usual { request.set(id, property.id, property.value) }
    colors.set(color, on: id, in: &request)
  }

  /// Takes it off the screen.
  func hide(in request: inout AtomicRequest) {
    request.set(id, ids.fb, 0)
    request.set(id, ids.crtc, 0)
  }

  /// Puts back what it showed when it was found.
  func restore(in request: inout AtomicRequest) {
    for property in found { request.set(id, property.id, property.value) }
  }
}
