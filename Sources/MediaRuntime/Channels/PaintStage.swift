// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization

/// The stage of a channel that draws regions into its pictures: into the picture's own buffer where nobody else looks at it,
/// else into a copy. Costs a picture one load while no region is attached.
///
/// Ownership: the channel's; owns the pool of copies. Whoever works on the channel's frames calls ``paint(_:copied:)``, one at a time.
final class PaintStage: Sendable {
  enum Painted: ~Copyable {
    /// The frame goes on as it is: nothing is drawn, or it was drawn into it.
    case same
    /// This one goes on in its place.
    case copy(Frame)
    /// It goes no further, which is counted.
    case lost
  }

  private let place: DrawingBoard.Place
  private let node: Node
  private let environment: Environment
  /// Buffers of the pool of copies.
  private let copies: Int
  private let pool = Published<Pool?>(nil)
  private let reported = Published<Failure?>(nil)
  private let painted = Atomic<UInt64>(0)
  private let copied = Atomic<UInt64>(0)
  private let unpainted = Atomic<UInt64>(0)
  private let wakeRoom: @Sendable () -> Void

  init(_ node: Node, _ environment: Environment, copies: Int) {
    self.node = node
    self.environment = environment
    self.copies = copies
    place = environment.drawings.place(node.path)
    let room = environment.room
    wakeRoom = { room.wake() }
  }

  /// Something is drawn.
  var isActive: Bool { place.sheet.edition.value != nil }

  /// Whether a copy could be made, where copies are made.
  var hasRoom: Bool {
    guard let pool = pool.edition.value, isActive, pool.free == 0 else { return true }
    pool.whenFree(wakeRoom)
    return pool.free > 0
  }

  /// - Parameter written: bytes of pixels the CPU wrote are added.
  func paint(_ frame: borrowing Frame, copied written: inout Int) -> Painted {
    guard var sheet = place.sheet.edition.value else { return .same }
    guard let target = frame.layout.ofCopy else { return failed(.noLayout(frame, node.path), sheet, frame) }
    if sheet.layout != target {
      guard let new = place.adapt(to: target, by: environment.engines.painter) else { return .same }
      sheet = new
    }
    if let failure = sheet.failure { return failed(failure, sheet, frame) }
    guard let prepared = sheet.prepared else { return .same }
    do throws(Failure) {
      if target == frame.layout, frame.mayBeDrawnInto {
        written += try prepared.paint(on: frame)
        painted.add(1, ordering: .relaxed)
        return .same
      }
      guard let buffer = try room(target).take(as: node.user) else {
        node.work.drop(.noBuffer, frame.name)
        return .lost
      }
      let copy = try frame.copy(into: buffer, as: target)
      written += target.byteCount
      copied.add(1, ordering: .relaxed)
      written += try prepared.paint(on: copy)
      painted.add(1, ordering: .relaxed)
      return .copy(copy)
    } catch {
      // What may be half drawn goes no further.
      report(error)
      node.work.drop(.deviceError, frame.name)
      return .lost
    }
  }

  /// The frame that goes on; `nil` where it goes no further.
  func passed(_ frame: consuming Frame, copied written: inout Int) -> Frame? {
    switch paint(frame, copied: &written) {
    case .same: return frame
    case .copy(let made): return made
    case .lost: return nil
    }
  }

  private func failed(_ failure: Failure, _ sheet: DrawingSheet, _ frame: borrowing Frame) -> Painted {
    report(failure)
    guard !sheet.hides else {
      node.work.drop(.formatMismatch, frame.name)
      return .lost
    }
    unpainted.add(1, ordering: .relaxed)
    return .same
  }

  /// Said once, until it is another.
  private func report(_ failure: Failure) {
    guard reported.value != failure else { return }
    reported.store(failure)
    environment.listener?.failed(node.path, failure)
    environment.log(node.module, .error, "\(node.path): regions: \(failure)")
  }

  private func room(_ layout: FrameLayout) throws(Failure) -> Pool {
    if let pool = pool.edition.value, pool.bufferSize == layout.byteCount { return pool }
    let name = "\(node.path.kind)\(node.path.number)\(node.path.output.map { ".\($0)" } ?? "").rgn"
    let new = try Pool(name: name, size: layout.byteCount, count: copies, allocator: environment.allocator)
    try environment.pools.add(new, creator: node.creator, user: node.user, isLent: false)
    if let old = pool.exchange(new) { environment.pools.close(old, user: node.user) }
    return new
  }

  /// The run has ended: the copies that are on their way come back by themselves.
  func close() {
    if let old = pool.exchange(nil) { environment.pools.close(old, user: node.user) }
    reported.store(nil)
  }

  var statistics: [Statistic] {
    [
      Statistic(
        "painted_frames", .counter, unit: .frames, "Frames regions were drawn into.", painted.load(ordering: .relaxed)),
      Statistic(
        "copied_for_regions", .counter, "Of those, frames that were copied first since others look at them.",
        copied.load(ordering: .relaxed)),
      Statistic(
        "unpainted_frames", .counter, unit: .frames,
        "Frames that passed without regions that cannot be drawn into them.",
        unpainted.load(ordering: .relaxed)),
    ]
  }

  /// For `active`.
  var facts: [KeyValue] {
    guard let sheet = place.sheet.value else { return [] }
    let how = sheet.failure.map { "not drawn, \($0)" } ?? "\(sheet.items.count)"
    return [KeyValue(key: "regions", value: how)]
  }
}

extension Failure {
  fileprivate static func noLayout(_ frame: borrowing Frame, _ path: ObjectPath) -> Failure {
    Failure(.notSupported, "paint", on: "\(path)", "pictures of \(frame.layout.format) are not drawn into")
  }
}
