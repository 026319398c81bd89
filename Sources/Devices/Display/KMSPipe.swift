// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LinuxMedia
internal import MediaCore

/// A connector that is lit: with the CRTC that feeds it, its mode and its planes. Made by setting the mode, black at
/// first; guarded by the card's lock.
///
/// Ownership: the mode's blob, the black picture behind small planes, and what the screen showed before it was taken,
/// which ``restore(turningOff:)`` puts back.
final class KMSPipe {
  let card: DRMCard
  let connector: UInt32
  let crtc: UInt32
  let mode: DRMMode
  let monitor: String?
  /// All that could be shown on the CRTC, also those that others could show and do.
  private let planes: [KMSPlane]
  let primary: KMSPlane
  private let numbers: (connectorCRTC: UInt32, mode: UInt32, active: UInt32)
  private let modeBlob: DRMBlob
  private let before: Before
  private var black: Black?
  /// Used for one commit after the other.
  var request = AtomicRequest()

  /// What the screen showed before. The mode is a blob of our own, since the one it was set with goes with it.
  private struct Before {
    var mode: DRMBlob?
    var isActive: Bool
    /// CRTC the connector was fed by.
    var connectorCRTC: UInt64
  }

  private final class Black {
    let framebuffer: Framebuffer
    private let memory: Descriptor

    init(_ card: DRMCard, _ mode: DRMMode) throws(KernelError) {
      let buffer = try card.dumbBuffer(width: mode.width, lines: mode.height, bitsPerPixel: 32)
      let (pitch, size) = (buffer.pitch, buffer.size)
      let memory = buffer.take()
      let mapping = try Mapping(memory.raw, size: size, subject: card.path, kernel: card.kernel)
      memset(mapping.address, 0, size)
      framebuffer = try card.framebuffer(
        FramebufferLayout(
          width: UInt32(mode.width), height: UInt32(mode.height), format: PixelFormat.xrgb8888.rawValue,
          planes: [.init(descriptor: memory.raw, pitch: UInt32(pitch), offset: 0)]))
      self.memory = memory
    }
  }

  /// Finds what feeds the connector, and sets the mode.
  /// - Parameter taken: CRTCs of other screens of ours.
  /// - Throws: EINVAL no such mode; ENODEV no monitor, or no CRTC is left; ENOTSUP the driver lacks something; what it
  ///   says.
  init(
    _ found: DRMConnector, _ wanted: DisplayMode, on card: DRMCard, taken: [UInt32]
  ) throws(Failure) {
    guard found.status != .disconnected, !found.modes.isEmpty else {
      throw Failure(.deviceGone, "enable", on: card.path, "\(found.name) is not connected")
    }
    guard let mode = ScreenGeometry.choose(wanted, among: found.modes) else {
      let known = found.modes.prefix(12).map(\.description).joined(separator: " ")
      throw Failure(.invalidArgument, "mode", on: "\(card.path) \(found.name)", "it has no \(wanted), but \(known)")
    }
    self.card = card
    self.mode = mode
    connector = found.id
    monitor = card.monitor(of: found.id)
    let (crtc, index) = try KMSPipe.crtc(for: found, on: card, taken: taken)
    self.crtc = crtc
    let lacking = Failure(.notSupported, "enable", on: card.path, "its driver lacks what atomic mode setting needs")
    let feeding = try asFailure { () throws(KernelError) in try card.properties(of: found.id, .connector) }
    let own = try asFailure { () throws(KernelError) in try card.properties(of: crtc, .crtc) }
    guard let connectorCRTC = feeding["CRTC_ID"], let modeID = own["MODE_ID"], let active = own["ACTIVE"] else {
      throw lacking
    }
    numbers = (connectorCRTC.id, modeID.id, active.id)
    let bytes = (try? card.blob(UInt32(truncatingIfNeeded: modeID.value))) ?? []
    before = Before(
      mode: bytes.isEmpty ? nil : try? card.blob(bytes: bytes), isActive: active.value != 0,
      connectorCRTC: connectorCRTC.value)
    let planes = try asFailure { () throws(KernelError) in try card.planes() }
      .filter { $0.crtcs >> UInt32(index) & 1 != 0 }.compactMap { KMSPlane($0, on: card) }
    self.planes = planes
    primary = try KMSPipe.primary(of: planes, on: crtc, lacking: lacking)
    modeBlob = try asFailure { () throws(KernelError) in try card.blob(of: mode) }
    black = try asFailure("a black picture") { () throws(KernelError) in try Black(card, mode) }
    setUp()
    try asFailure("setting \(mode) on \(found.name)") { () throws(KernelError) in
      try card.commit(&request, .allowModeSet)
    }
  }

  /// The CRTC that feeds the connector now, else the first that could and feeds no other.
  private static func crtc(
    for connector: DRMConnector, on card: DRMCard, taken: [UInt32]
  ) throws(Failure) -> (UInt32, Int) {
    try asFailure { () throws(KernelError) in
      let crtcs = try card.resources().crtcs
      if connector.encoder != 0 {
        let now = try card.encoder(connector.encoder).crtc
        if now != 0, !taken.contains(now), let index = crtcs.firstIndex(of: now) { return (now, index) }
      }
      var first: (UInt32, Int)?
      for encoder in connector.encoders {
        let mask = try card.encoder(encoder).crtcs
        for (index, id) in crtcs.enumerated() where mask >> UInt32(index) & 1 != 0 && !taken.contains(id) {
          if try card.crtc(id, index: index).mode == nil { return (id, index) }
          first = first ?? (id, index)
        }
      }
      guard let first else {
        throw KernelError(.deviceGone, "looking for a free CRTC for \(connector.name)", on: card.path)
      }
      return first
    }
  }

  /// The primary plane that shows on the CRTC now, else the first that shows nothing. Where each plane can be shown on
  /// each CRTC (msm), the first of all may be another screen's, and the kernel moves no plane that is shown.
  private static func primary(
    of planes: [KMSPlane], on crtc: UInt32, lacking: Failure
  ) throws(Failure) -> KMSPlane {
    let all = planes.filter { $0.kind == .primary }
    if let found = all.first(where: { $0.crtcBefore == crtc }) ?? all.first(where: { $0.crtcBefore == 0 }) {
      return found
    }
    if all.isEmpty { throw lacking }
    throw Failure(.resourceBusy, "enable", on: lacking.subject, "other screens show something on every primary plane")
  }

  private func setUp() {
    request.removeAll()
    request.set(connector, numbers.connectorCRTC, UInt64(crtc))
    request.set(crtc, numbers.mode, UInt64(modeBlob.id))
    request.set(crtc, numbers.active, 1)
    for plane in planes where plane !== primary && plane.crtcBefore == crtc { plane.hide(in: &request) }
    showBlack()
  }

  private func showBlack() {
    guard let black else { return }
    primary.show(
      black.framebuffer.id, width: mode.width, height: mode.height, .rgb, on: crtc,
      at: Rectangle(x: 0, y: 0, width: mode.width, height: mode.height), in: &request)
  }

  // MARK: while it is lit

  var size: (width: Int, height: Int) { (mode.width, mode.height) }

  /// Planes for pictures. A primary plane that is not the one in use stays free for the CRTC it was made for.
  var usable: [KMSPlane] { planes.filter { $0 === primary || $0.kind != .primary } }

  /// Adds to the request that a plane is left. The primary plane cannot be: many drivers want it as long as there is a
  /// picture at all.
  func leave(_ plane: KMSPlane) {
    guard plane === primary else {
      plane.hide(in: &request)
      return
    }
    if black == nil { black = try? Black(card, mode) }
    showBlack()
  }

  /// The primary plane shows a picture: the black one is not needed until it is left.
  func primaryIsCovered() { black = nil }
  func isPrimary(_ plane: KMSPlane?) -> Bool { plane === primary }

  /// Gives the screen back as it was when it was taken, or turns it off.
  /// - Parameter turningOff: off even if it showed something, as for a monitor that was unplugged.
  func restore(turningOff: Bool) {
    // A plane several CRTCs can show may be another screen's by now: only the kernel knows them all.
    let now = (try? card.planes()).map { Dictionary($0.map { ($0.id, $0.crtc) }, uniquingKeysWith: { $1 }) } ?? [:]
    let mine = planes.filter { now[$0.id] == crtc }
    request.removeAll()
    if !turningOff, before.isActive, let old = before.mode, before.connectorCRTC == UInt64(crtc) {
      request.set(connector, numbers.connectorCRTC, before.connectorCRTC)
      request.set(crtc, numbers.mode, UInt64(old.id))
      request.set(crtc, numbers.active, 1)
      for plane in mine where plane.crtcBefore != crtc { plane.hide(in: &request) }
      for plane in planes where plane.crtcBefore == crtc && (now[plane.id] == crtc || now[plane.id] == 0) {
        plane.restore(in: &request)
      }
      if card.attemptCommit(&request, .allowModeSet) == 0 { return }
      // What was shown is gone with its owner.
      request.removeAll()
    }
    for plane in mine { plane.hide(in: &request) }
    request.set(connector, numbers.connectorCRTC, 0)
    request.set(crtc, numbers.active, 0)
    request.set(crtc, numbers.mode, 0)
    _ = card.attemptCommit(&request, .allowModeSet)
  }
}
