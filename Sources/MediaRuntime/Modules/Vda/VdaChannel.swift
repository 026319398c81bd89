// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// A detection channel: looks for motion and for a covered lens in the frames of a small picture, usually an output of a scaler. Frames
/// end here: in = looked at + passed over + dropped + in flight.
///
/// Ownership: the detector and what has been told belong to the session's worker.
final class VdaChannel: Channel {
  static let module = ModuleClass(
    type: ObjectType("vda"), numbers: 0...31, stage: 4, takesFrames: true, hasQueue: true, rows: VdaSettings.rows
  ) { node, settings, environment, _ in VdaChannel(node, settings, environment) }

  /// The vendor's limits; more is no better seen.
  static let sides = 16...960

  let core: ChannelCore
  private let log = EventLog()
  private let seen = Published(DetectionReport())
  private let passedOver = Atomic<UInt64>(0)
  private let looked = Atomic<UInt64>(0)
  private let motions = Atomic<UInt64>(0)
  private let occlusions = Atomic<UInt64>(0)
  private let held: Confined<Held>

  private struct Held {
    var detector: MotionDetector?
    var layout: FrameLayout?
    var version: UInt64 = 0
    var findings = MotionFindings()
    var skipped = 0
    /// Since the last picture with motion, while it is told.
    var still: Int?
    var beganAt: Int64 = 0
    var isOccluded = false
    var occludedAt: Int64 = 0
  }

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment) {
    core = ChannelCore(node, settings, environment)
    held = Confined(Held(), to: core.session.affinity)
    node.input.connect(session)
    session.attach(self)
  }

  func open(_ settings: ObjectSettings) throws(Failure) -> String {
    held.value = Held()
    return settings.text("algorithm") ?? ""
  }

  func close() {
    finish()
    held.value = Held()
  }

  func ended(cameBack: Bool) { seen.store(DetectionReport()) }
  func removed() { log.retire() }
  var worker: String { "detector" }

  func openEvents(_ name: String) -> EventReader? {
    guard name == "events" else { return nil }
    return log.attach {
      let now = seen.value
      return "pts=\(now.pts ?? 0) event=now motion=\(now.isMoving ? 1 : 0) occlusion=\(now.isOccluded ? 1 : 0)"
    }
  }

  // MARK: the worker

  func perform() -> Bool {
    guard var frame = node.input.queue.pop() else { return false }
    environment.room.made(in: node.input)
    let start = Clock.now()
    let wait = start - frame.stamps.queued
    session.began(at: start)
    frame.stamps.started = start
    tap.pass(frame)
    let outcome = look(at: frame)
    let end = Clock.now()
    session.ended()
    node.work.record(outcome, wait: wait, run: end - start, end: end)
    return true
  }

  private func look(at frame: borrowing Frame) -> TaskOutcome {
    let interval = settings.integer("interval") ?? 0
    guard held.value.skipped >= interval || held.value.detector == nil else {
      held.value.skipped += 1
      passedOver.add(1, ordering: .relaxed)
      node.output.counters.countLeaving(at: Clock.now(), pts: frame.pts)
      return .done
    }
    do throws(Failure) {
      try prepare(frame.layout)
      guard let luma = try frame.beginLuma() else {
        throw Failure(.invalidArgument, "look", on: "\(path)", "the picture does not fit its memory")
      }
      var findings = MotionFindings()
      swap(&findings, &held.value.findings)
      held.value.detector?.look(at: luma.samples, stride: luma.stride, pts: frame.pts, into: &findings)
      swap(&findings, &held.value.findings)
      try frame.endLuma()
    } catch {
      fails(error)
      node.work.drop(error.errno == .notSupported ? .formatMismatch : .deviceError, frame.name)
      return .failed
    }
    held.value.skipped = 0
    looked.add(1, ordering: .relaxed)
    tell(frame.pts)
    node.output.counters.countLeaving(at: Clock.now(), pts: frame.pts)
    works()
    return .done
  }

  /// The detector for pictures of this layout, with the settings of now.
  private func prepare(_ layout: FrameLayout) throws(Failure) {
    let numbered = core.settings.value
    if held.value.detector != nil, held.value.layout == layout, held.value.version == numbered.version { return }
    let motion = VdaSettings.motion(numbered.settings)
    let isSame = held.value.layout == layout && held.value.detector?.change(motion) ?? false
    if !isSame {
      let (width, height) = (Int(layout.width), Int(layout.height))
      guard Frame.formatsWithLuma.contains(layout.format) else {
        let able = Frame.formatsWithLuma.map(\.description).joined(separator: ", ")
        throw Failure(
          .notSupported, "look", on: "\(path)",
          "frames are \(layout.format); it takes \(able): put an output of a scaler in between")
      }
      guard Self.sides.contains(width), Self.sides.contains(height),
        let new = MotionDetector(width: width, height: height, motion)
      else {
        throw Failure(
          .notSupported, "look", on: "\(path)",
          "frames are \(width)x\(height); it takes \(Self.sides.lowerBound) to \(Self.sides.upperBound) in both directions: put an output of a "
            + "scaler in between")
      }
      held.value.detector = new
    }
    (held.value.layout, held.value.version) = (layout, numbered.version)
  }

  // MARK: what is told

  private func tell(_ pts: Int64) {
    let findings = held.value.findings
    if findings.hasMoved {
      if held.value.still == nil {
        held.value.beganAt = pts
        motions.add(1, ordering: .relaxed)
        let area = findings.objects.first?.area ?? Rectangle(x: 0, y: 0, width: 0, height: 0)
        log.tell(
          "pts=\(pts) event=motion_begin objects=\(findings.objects.count) alarm_pixels=\(findings.alarmPixels) "
            + "largest=\(area.x),\(area.y),\(area.width),\(area.height)")
      }
      held.value.still = 0
    } else if let still = held.value.still {
      held.value.still = still + 1
      if still + 1 >= held.value.detector?.settings.stillCount ?? 1 { endMotion(pts) }
    }
    if findings.isOccluded != held.value.isOccluded {
      held.value.isOccluded = findings.isOccluded
      if findings.isOccluded {
        occlusions.add(1, ordering: .relaxed)
        held.value.occludedAt = pts
        log.tell("pts=\(pts) event=occlusion_begin covered_percent=\(findings.coveredPercent ?? 0)")
      } else {
        log.tell("pts=\(pts) event=occlusion_end lasted_ms=\((pts - held.value.occludedAt) / 1000)")
      }
    }
    seen.store(report(findings))
  }

  private func endMotion(_ pts: Int64) {
    held.value.still = nil
    log.tell("pts=\(pts) event=motion_end lasted_ms=\((pts - held.value.beganAt) / 1000)")
  }

  /// What has begun ends with the run.
  private func finish() {
    let pts = held.value.findings.pts
    if held.value.still != nil { endMotion(pts) }
    if held.value.isOccluded {
      log.tell("pts=\(pts) event=occlusion_end lasted_ms=\((pts - held.value.occludedAt) / 1000)")
    }
  }

  private func report(_ findings: MotionFindings) -> DetectionReport {
    var report = DetectionReport()
    report.pts = findings.pts
    report.width = Int(held.value.layout?.width ?? 0)
    report.height = Int(held.value.layout?.height ?? 0)
    report.blockSize = held.value.detector?.settings.block ?? 0
    report.isMoving = held.value.still != nil
    report.alarmPixels = findings.alarmPixels
    report.alarmBlocks = findings.alarmBlocks
    report.blocks = findings.blocks
    report.largest = findings.largest
    report.noise = findings.noise
    report.isOccluded = findings.isOccluded
    report.coveredPercent = findings.coveredPercent
    report.objects = findings.objects.map {
      DetectionReport.Object(
        x: $0.area.x, y: $0.area.y, width: $0.area.width, height: $0.area.height, blocks: $0.blocks)
    }
    return report
  }

  // MARK: reports

  func detectionReport() -> DetectionReport? { seen.value }

  func activeFacts() -> [KeyValue] {
    let now = seen.value
    guard state.value.isRunning, now.pts != nil else { return [] }
    return [
      KeyValue(key: "width", value: "\(now.width)"), KeyValue(key: "height", value: "\(now.height)"),
      KeyValue(key: "blocks", value: "\(now.blocks) of \(now.blockSize)x\(now.blockSize)"),
      KeyValue(key: "events", value: "\(path)/events"),
    ]
  }

  func moreStatistics() -> [Statistic] {
    let now = seen.value
    return [
      Statistic(
        "looked_at_frames", .counter, metric: "looked_at_frames", "Frames looked at.", looked.load(ordering: .relaxed)),
      Statistic(
        "passed_over_frames", .counter, metric: "passed_over_frames", "Frames not looked at, for interval.",
        passedOver.load(ordering: .relaxed)),
      Statistic("motions", .counter, "Times motion began.", motions.load(ordering: .relaxed)),
      Statistic("occlusions", .counter, "Times the lens was found covered.", occlusions.load(ordering: .relaxed)),
      Statistic("moving", .gauge, "1 while motion is told.", now.isMoving ? 1 : 0),
      Statistic("occluded", .gauge, "1 while the lens is covered.", now.isOccluded ? 1 : 0),
      Statistic("alarm_pixels", .gauge, "Pixels in blocks that have moved, of the last frame.", now.alarmPixels),
      Statistic("objects", .gauge, "Objects that move, of the last frame.", now.objects.count),
    ]
  }
}
