// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// How the work of a scaler is shared out between a device that cannot do all of it and the CPU: what the CPU makes ready for the
/// device, what the device does, and what the CPU does to that.
struct ScalerSteps: Equatable {
  /// What a scaler is asked.
  struct Work: Equatable {
    var from: FrameLayout
    var crop: Rectangle?
    var transform: PictureTransform
    var to: FrameLayout
  }

  let work: Work
  /// What the CPU makes of the incoming picture; `nil` where the device takes that.
  let ready: FrameLayout?
  let cropsFirst: Bool
  /// What the device makes; `nil` where that is the picture itself.
  let made: FrameLayout?
  let turnsLast: Bool

  /// Formats that may stand between the two, those first that cost least.
  private static let between: [PixelFormat] = [
    .nv12, .i420, .nv21, .nv16, .yuyv, .uyvy, .xrgb8888, .xbgr8888, .rgb24, .bgr24,
  ]

  /// What the device does of it.
  var onDevice: Work {
    Work(
      from: ready ?? work.from, crop: cropsFirst ? nil : work.crop,
      transform: turnsLast ? PictureTransform() : work.transform, to: made ?? work.to)
  }

  /// The cheapest way: fewest pictures in between, then fewest bytes in them.
  /// - Returns: `nil` where there is none, or nothing is left for the CPU.
  static func find(_ work: Work, _ device: any ScalerFactory, _ helper: any ScalerFactory) -> ScalerSteps? {
    var best: (steps: ScalerSteps, cost: (Int, Int))?
    for cropsFirst in work.crop == nil ? [false] : [false, true] {
      for turnsLast in work.transform.isIdentity ? [false] : [false, true] {
        for taken in [work.from.format] + between {
          for given in [work.to.format] + between {
            guard
              let steps = ScalerSteps(work, taken, cropsFirst: cropsFirst, given, turnsLast: turnsLast),
              steps.ready != nil || steps.made != nil
            else { continue }
            let cost = steps.cost
            guard best.map({ cost < $0.cost }) ?? true, steps.isPossible(device, helper) else { continue }
            best = (steps, cost)
          }
        }
      }
    }
    return best?.steps
  }

  private init?(_ work: Work, _ taken: PixelFormat, cropsFirst: Bool, _ given: PixelFormat, turnsLast: Bool) {
    self.work = work
    (self.cropsFirst, self.turnsLast) = (cropsFirst, turnsLast)
    var (ready, made): (FrameLayout?, FrameLayout?)
    if cropsFirst || taken != work.from.format {
      let part = cropsFirst ? work.crop : nil
      ready = FrameLayout(
        taken, width: part?.width ?? Int(work.from.width), height: part?.height ?? Int(work.from.height))?
        .meaning(of: work.from)
      if ready == nil { return nil }
    }
    if turnsLast || given != work.to.format {
      let isOnItsSide = turnsLast && work.transform.rotation % 180 != 0
      let (width, height) = (Int(work.to.width), Int(work.to.height))
      made = FrameLayout(given, width: isOnItsSide ? height : width, height: isOnItsSide ? width : height)?
        .meaning(of: ready ?? work.from)
      if made == nil { return nil }
    }
    (self.ready, self.made) = (ready, made)
  }

  private var cost: (Int, Int) {
    ((ready == nil ? 0 : 1) + (made == nil ? 0 : 1), (ready?.byteCount ?? 0) + (made?.byteCount ?? 0))
  }

  private func isPossible(_ device: any ScalerFactory, _ helper: any ScalerFactory) -> Bool {
    let asked = onDevice
    guard device.supports(asked.from, crop: asked.crop, transform: asked.transform, to: asked.to) else { return false }
    if let ready, !helper.supports(work.from, crop: work.crop, transform: PictureTransform(), to: ready) {
      return false
    }
    if let made, !helper.supports(made, crop: nil, transform: work.transform, to: work.to) { return false }
    return true
  }

  /// What is done by whom, in order.
  func facts(device: String, helper: String) -> [(step: String, by: String)] {
    func names(_ parts: (String, Bool)...) -> String {
      parts.filter(\.1).map(\.0).joined(separator: " and ")
    }
    func turns(_ transform: PictureTransform) -> (String, Bool) {
      let names = [
        transform.mirror ? "mirror" : nil, transform.flip ? "flip" : nil, transform.rotation != 0 ? "rotate" : nil,
      ]
      return (names.compactMap { $0 }.joined(separator: " and "), !transform.isIdentity)
    }
    let asked = onDevice
    var facts: [(step: String, by: String)] = []
    if let ready {
      facts.append((names(("crop", cropsFirst), ("convert", ready.format != work.from.format)), helper))
    }
    let isConverted = asked.from.format != asked.to.format
    let isCropped = asked.crop != nil
    let inside = (asked.crop?.width ?? Int(asked.from.width), asked.crop?.height ?? Int(asked.from.height))
    let isScaled =
      inside != (Int(asked.to.width), Int(asked.to.height))
      || !(isConverted || isCropped || !asked.transform.isIdentity)
    facts.append(
      (names(("crop", isCropped), ("scale", isScaled), ("convert", isConverted), turns(asked.transform)), device))
    if let made {
      let last = turnsLast ? work.transform : PictureTransform()
      facts.append((names(turns(last), ("convert", made.format != work.to.format)), helper))
    }
    return facts
  }
}

/// A scaler of a device whose every other step the CPU takes.
struct SteppedScalerFactory: ScalerFactory {
  let base: any ScalerFactory
  let helper: any ScalerFactory
  /// Whose pictures it makes.
  let node: Node
  let environment: Environment

  var name: String { base.name }
  var isHardware: Bool { base.isHardware }

  func supports(from: PixelFormat, to: PixelFormat, transform: PictureTransform) -> Bool {
    helper.supports(from: from, to: to, transform: transform)
  }

  func supports(_ from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout) -> Bool {
    ScalerSteps.find(ScalerSteps.Work(from: from, crop: crop, transform: transform, to: to), base, helper) != nil
  }

  func open() throws(Failure) -> any Scaler {
    throw Failure(.notSupported, "open", on: name, "what is to be done in steps is known beforehand")
  }

  func open(
    _ from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout
  ) throws(Failure) -> any Scaler {
    try SteppedScaler(self, ScalerSteps.Work(from: from, crop: crop, transform: transform, to: to))
  }
}

/// Does in steps what a device cannot do alone. Serial use by its session; owns the pictures between the steps.
final class SteppedScaler: Scaler, @unchecked Sendable {
  private let factory: SteppedScalerFactory
  private var plan: ScalerSteps
  private let device: any Scaler
  private let helper: any Scaler
  private var ready: Pool?
  private var made: Pool?

  init(_ factory: SteppedScalerFactory, _ work: ScalerSteps.Work) throws(Failure) {
    self.factory = factory
    plan = try SteppedScaler.find(factory, work)
    helper = try factory.helper.open()
    let asked = plan.onDevice
    device = try factory.base.open(asked.from, crop: asked.crop, transform: asked.transform, to: asked.to)
    try makePools()
  }

  deinit { closePools() }

  private static func find(
    _ factory: SteppedScalerFactory, _ work: ScalerSteps.Work
  ) throws(Failure) -> ScalerSteps {
    guard let found = ScalerSteps.find(work, factory.base, factory.helper) else {
      throw Failure(
        .notSupported, "convert", on: factory.name,
        "no step of \(work.from.width)x\(work.from.height) \(work.from.format) to \(work.to.width)x\(work.to.height) "
          + "\(work.to.format) is the device's")
    }
    return found
  }

  private func makePools() throws(Failure) {
    ready = try pool(plan.ready, "in")
    made = try pool(plan.made, "out")
  }

  private func pool(_ layout: FrameLayout?, _ side: String) throws(Failure) -> Pool? {
    guard let layout else { return nil }
    let environment = factory.environment
    // One is enough: a picture is done with before the next one comes.
    let pool = try Pool(
      name: "\(factory.name.split(separator: "/").last ?? "device").\(side)", size: layout.byteCount, count: 1,
      allocator: environment.allocator)
    try environment.pools.add(pool, creator: factory.node.creator, user: factory.node.user, isLent: false)
    return pool
  }

  private func closePools() {
    for pool in [ready, made] {
      if let pool { factory.environment.pools.close(pool, user: factory.node.user) }
    }
    (ready, made) = (nil, nil)
  }

  var engine: String { "\(device.engine), \(helper.engine)" }

  func engine(for from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout) -> String {
    engine
  }

  func steps(
    for from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout
  ) -> [(step: String, by: String)] {
    let work = ScalerSteps.Work(from: from, crop: crop, transform: transform, to: to)
    let found = ScalerSteps.find(work, factory.base, factory.helper)
    return found?.facts(device: factory.base.name, helper: factory.helper.name) ?? []
  }

  func scale(
    _ source: borrowing Frame, crop: Rectangle?, transform: PictureTransform, to destination: inout Frame
  ) throws(Failure) -> Int {
    let work = ScalerSteps.Work(from: source.layout, crop: crop, transform: transform, to: destination.layout)
    if work != plan.work {
      let found = try SteppedScaler.find(factory, work)
      closePools()
      plan = found
      try makePools()
    }
    guard let layout = plan.ready else { return try onDevice(source, to: &destination) }
    var first = try picture(layout, ready, of: source)
    let copied = try helper.scale(
      source, crop: plan.cropsFirst ? work.crop : nil, transform: PictureTransform(), to: &first)
    return copied + (try onDevice(first, to: &destination))
  }

  private func onDevice(_ source: borrowing Frame, to destination: inout Frame) throws(Failure) -> Int {
    let asked = plan.onDevice
    guard let layout = plan.made else {
      return try device.scale(source, crop: asked.crop, transform: asked.transform, to: &destination)
    }
    var last = try picture(layout, made, of: source)
    let copied = try device.scale(source, crop: asked.crop, transform: asked.transform, to: &last)
    let transform = plan.turnsLast ? plan.work.transform : PictureTransform()
    return copied + (try helper.scale(last, crop: nil, transform: transform, to: &destination))
  }

  private func picture(_ layout: FrameLayout, _ pool: Pool?, of source: borrowing Frame) throws(Failure) -> Frame {
    guard let buffer = pool?.take(as: .anonymous) else {
      throw Failure(.noBufferSpace, "scale", on: factory.name, "the device has not given back the last picture")
    }
    return Frame(
      buffer, layout: layout, pts: source.pts, sequence: source.sequence, stamps: source.stamps, isOwn: true)
  }
}
