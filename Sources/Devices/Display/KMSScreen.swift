// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import LinuxMedia
internal import MediaCore
internal import SystemPackage

/// One connector by name, lit or not, and the displays that share it. Everything here is guarded by the card's lock.
final class KMSScreen {
  /// The hardware has so long to say that a picture is on the screen. Nanoseconds.
  static let patience = Int64.milliseconds(500)

  let name: String
  let wanted: DisplayMode
  /// What lights it; `nil` while there is no picture, for the reason in ``outage``.
  private(set) var pipe: KMSPipe?
  private(set) var outage: Failure?
  /// The displays on it, in the order they came.
  private(set) var layers: [KMSDisplay] = []
  /// Until when the flip under way must have happened; 0: none is.
  private(set) var deadline: Int64 = 0
  /// A commit the kernel was too busy for is tried again then; 0: none.
  private(set) var retryAt: Int64 = 0

  init(_ name: String, wanted: DisplayMode) {
    self.name = name
    self.wanted = wanted
  }

  var isUp: Bool { pipe != nil }
  var size: (width: Int, height: Int) { pipe?.size ?? (0, 0) }
  var interval: Int64 { pipe?.mode.intervalNanoseconds ?? 0 }
  var crtc: UInt32? { pipe?.crtc }

  // MARK: lighting it

  /// Sets the mode. The displays hear that there is a picture again.
  func light(_ found: DRMConnector, on card: DRMCard, taken: [UInt32]) throws(Failure) {
    pipe = try KMSPipe(found, wanted, on: card, taken: taken)
    (outage, deadline, retryAt) = (nil, 0, 0)
    for layer in layers { layer.screenCame() }
  }

  /// Gives it back as it was, or turns it off.
  func darken(turningOff: Bool = false) {
    for layer in layers { layer.flush() }
    pipe?.restore(turningOff: turningOff)
    leave()
  }

  /// It is somebody else's, or the card is gone: nothing can be put back.
  func abandon() {
    for layer in layers { layer.flush(.failed) }
    leave()
  }

  private func leave() {
    for layer in layers { layer.leaveScreen() }
    pipe = nil
    (deadline, retryAt) = (0, 0)
  }

  /// There is no picture, for this reason. The displays hear a new reason once.
  func fail(_ failure: Failure) {
    guard outage != failure else { return }
    outage = failure
    for layer in layers { layer.screenFailed(failure) }
  }

  // MARK: displays

  func add(_ layer: KMSDisplay) {
    layers.append(layer)
    if isUp { layer.screenCame() } else if let outage { layer.screenFailed(outage) }
  }

  /// Takes one display off the screen; the others go on.
  func remove(_ layer: KMSDisplay) {
    layer.flush()
    layers.removeAll { $0 === layer }
    if let pipe, let plane = layer.plane {
      pipe.request.removeAll()
      pipe.leave(plane)
      // Blocks until a picture of the others that is on its way has come.
      _ = pipe.card.attemptCommit(&pipe.request, [])
    }
    layer.leaveScreen()
  }

  /// Planes no other display has.
  /// - Parameter elsewhere: numbers of those that other screens have.
  func planes(for layer: KMSDisplay, besides elsewhere: Set<UInt32>) -> [KMSPlane] {
    guard let pipe else { return [] }
    return pipe.usable.filter { plane in
      !elsewhere.contains(plane.id)
        && !layers.contains { $0 !== layer && ($0.plane === plane || $0.way?.plane === plane) }
    }
  }

  /// Numbers of the planes it shows something on, or is about to.
  var planesInUse: [UInt32] {
    guard let pipe else { return [] }
    return [pipe.primary.id] + layers.flatMap { [$0.plane?.id, $0.way?.plane.id].compactMap { $0 } }
  }

  /// Whether the device would show this, beside what it shows now: 0 or a negative errno.
  func test(_ framebuffer: Framebuffer, _ way: KMSWay, for layer: KMSDisplay) -> CInt {
    guard let pipe else { return -KMSCard.gone }
    pipe.request.removeAll()
    put(framebuffer, way, of: layer, on: pipe)
    return pipe.card.attemptCommit(&pipe.request, .testOnly)
  }

  private func put(_ framebuffer: Framebuffer, _ way: KMSWay, of layer: KMSDisplay, on pipe: KMSPipe) {
    if let old = layer.plane, old !== way.plane { pipe.leave(old) }
    way.plane.show(
      framebuffer.id, width: Int(way.scanned.width), height: Int(way.scanned.height), way.scanned.color, on: pipe.crtc,
      at: way.place, in: &pipe.request)
  }

  // MARK: frames

  enum Outcome { case done, masterLost, cardGone }

  /// Puts the newest frames of all displays on their way to the screen, if none is on it already.
  func commit(now: Int64, patience: Int64) -> Outcome {
    guard let pipe, deadline == 0, now >= retryAt else { return .done }
    retryAt = 0
    pipe.request.removeAll()
    for index in layers.indices {
      guard let (framebuffer, way) = layers[index].prepareNext(on: pipe.card) else { continue }
      put(framebuffer, way, of: layers[index], on: pipe)
    }
    guard pipe.request.count > 0 else { return .done }
    let result = pipe.card.attemptCommit(
      &pipe.request, [.nonBlocking, .pageFlipEvent], userData: UInt64(pipe.crtc))
    if result == 0 {
      deadline = now + patience
      for index in layers.indices { layers[index].committed() }
      return .done
    }
    switch Errno(rawValue: -result) {
    case .resourceBusy:
      // Somebody else's change, or the end of one of ours, is still under way.
      retryAt = now + .milliseconds(2)
    case .permissionDenied, .notPermitted: return .masterLost
    case .deviceGone: return .cardGone
    case let errno:
      let failure = Failure(errno, "DRM_IOCTL_MODE_ATOMIC", on: pipe.card.path, "a picture on \(name)")
      for index in layers.indices { layers[index].refused(failure) }
    }
    return .done
  }

  /// What was on its way is on the screen.
  func flipped(_ event: FlipEvent) {
    deadline = 0
    var covers = false
    for index in layers.indices {
      layers[index].flipped(event)
      if pipe?.isPrimary(layers[index].plane) ?? false { covers = true }
    }
    if covers { pipe?.primaryIsCovered() }
  }

  /// The flip under way should have happened.
  func isOverdue(_ now: Int64) -> Bool { deadline != 0 && now > deadline }

  /// What takes its time to let go of when the hardware hangs. Whoever abandons the screen keeps it until the lock is
  /// left.
  var holdings: [AnyObject] {
    var all: [AnyObject] = layers.flatMap(\.framebuffers)
    if let pipe { all.append(pipe) }
    return all
  }

  func timeOut() {
    for layer in layers { layer.timedOut() }
    deadline = 0
  }

  /// Lets frames come through again when there is nothing to do.
  func rest() {
    guard deadline == 0 else { return }
    for index in layers.indices {
      let layer = layers[index]
      guard !layer.isWaiting else { continue }
      layer.isIdle.store(true, ordering: .sequentiallyConsistent)
      // One that came between the two looks has seen that nobody sleeps.
      if layer.isWaiting { layer.isIdle.store(false, ordering: .sequentiallyConsistent) }
    }
  }

  func forgetGone() { for layer in layers { layer.forgetGone() } }
}

/// A way onto the screen that the device has agreed to.
final class KMSWay: DisplayWay, @unchecked Sendable {
  // Immutable; the plane is only used under the card's lock.
  let generation: UInt64
  let picture: DisplayPicture?
  let plane: KMSPlane
  /// The picture the plane scans out: the frame, what is made of it, or the whole screen around it.
  let scanned: FrameLayout
  /// Where the plane stands.
  let place: Rectangle
  /// The plane says that it takes this format in plain lines.
  let isLinear: Bool

  init(generation: UInt64, picture: DisplayPicture?, plane: KMSPlane, scanned: FrameLayout, place: Rectangle) {
    self.generation = generation
    self.picture = picture
    self.plane = plane
    self.scanned = scanned
    self.place = place
    let code = PlaneChoice.scannedOut(scanned.format).flatMap { DisplayFormat.fourcc($0) }
    isLinear = code.map(plane.linear.contains) ?? false
  }
}
