// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
public import Reports

extension MediaGraph {
  /// What is enabled and does not move: since when, waiting for whom, and which queue is full or empty. The culprit of
  /// the others first.
  public func health() -> HealthReport {
    let now = Clock.now()
    var found: [(rank: Int, finding: HealthFinding)] = []
    var verdict = HealthVerdict.ok
    var owners: [ObjectIdentifier: any Channel] = [:]
    for object in all { owners[ObjectIdentifier(object.node.output)] = object }
    for object in all {
      guard let (rank, finding) = examine(object, owners, now) else { continue }
      if case .failed = finding.condition {
        verdict = .failed
      } else if verdict == .ok {
        verdict = .degraded
      }
      found.append((rank, finding))
    }
    for object in allFittings {
      guard case .failed? = object.condition, let condition = object.condition else { continue }
      verdict = .failed
      found.append(
        (
          0,
          HealthFinding(path: "\(object.path)", condition: condition, sinceMonotonicMicroseconds: object.since / 1000)
        ))
    }
    // Stable: of one rank in the order of the configuration.
    let ordered = found.enumerated().sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }
    let troubles = troubles(at: now)
    if verdict == .ok, !troubles.isEmpty { verdict = .degraded }
    return HealthReport(
      verdict: verdict,
      clocks: ClockReading(monotonicMicroseconds: now / 1000, realtimeMicroseconds: Clock.realtimeMicroseconds()),
      findings: ordered.map(\.element.finding), troubles: troubles)
  }

  /// - Returns: rank 0 for one that is to blame itself, 1 for one that suffers from another's fault.
  private func examine(
    _ object: any Channel, _ owners: [ObjectIdentifier: any Channel], _ now: Int64
  ) -> (Int, HealthFinding)? {
    let state = object.state.value
    guard state.isRunning else {
      guard let awaited = object.node.awaited.value else { return nil }
      return (
        0,
        HealthFinding(
          path: "\(object.path)", condition: .waiting(for: awaited.what),
          sinceMonotonicMicroseconds: awaited.since / 1000)
      )
    }
    let figures = object.node.figures()
    let condition = condition(of: object, figures)
    let input = object.node.input
    func finding(_ since: Int64, _ whom: String?, _ fill: QueueFill? = nil) -> HealthFinding {
      HealthFinding(
        path: "\(object.path)", condition: condition, sinceMonotonicMicroseconds: since / 1000, waitingFor: whom,
        queue: fill.map {
          QueueFinding(name: "\(object.path) input", fill: $0, waiting: input.waiting, capacity: input.depth)
        })
    }
    if condition == .ended { return nil }
    if case .failed = state.kind { return (0, finding(state.since, object.waitingFor)) }
    let patience = patience(for: object, figures)
    let resumption = environment.resumption

    // Work that does not come back: the engine or scaler of this object.
    let session = object.session
    if object.core.ownsSession, case let running = session.runningSince, running != 0,
      resumption.isOver(min(patience, session.timeout * 2), since: running, at: now)
    {
      let culprit = stuckOutput(of: object, since: running)
      return (
        0,
        finding(
          running,
          culprit ?? (object.isSource && object.engineName == nil ? object.waitingFor : nil)
            ?? "its own engine\(engineName(object))",
          input.waiting >= input.depth ? .full : nil)
      )
    }
    var moved = max(figures.output.lastAt, state.since)
    guard resumption.isOver(patienceForOutput(of: object, figures), since: moved, at: now) else { return nil }
    moved = max(moved, resumption.time)
    // Without a buffer for the next picture an object stands still for those who hold its buffers.
    if let wanted = missingBuffer(of: object) { return (1, finding(moved, wanted)) }
    if object.isSource { return (0, finding(moved, object.waitingFor)) }

    // Frames wait here, and nothing is being done about them: no worker, or no room further down.
    if input.waiting > 0 {
      if let (receiver, port) = fullReceiver(of: object) {
        var blocked = finding(moved, "\(receiver.path)")
        blocked.queue = QueueFinding(
          name: "\(receiver.path) input", fill: .full, waiting: port.waiting, capacity: port.depth)
        return (1, blocked)
      }
      let isAtWork = session.runningSince != 0
      let whom = object.waitingFor ?? (isAtWork ? "its own engine\(engineName(object))" : "a worker")
      return (0, finding(moved, whom, input.waiting >= input.depth ? .full : nil))
    }
    // Nothing comes. Frames dropped here on purpose or for want of a buffer are this object's own affair.
    let arrived = max(figures.input.lastAt, resumption.time)
    if now - arrived <= patience {
      return (0, finding(moved, object.waitingFor ?? lastCause(figures)))
    }
    guard let upstream = input.upstream, let source = owners[ObjectIdentifier(upstream)] else {
      return (0, finding(moved, "a source: none is bound", input.depth > 0 ? .empty : nil))
    }
    return (1, finding(moved, blame(source, owners, now), input.depth > 0 ? .empty : nil))
  }

  /// Who up the way is to blame that nothing comes from `source`.
  private func blame(
    _ source: any Channel, _ owners: [ObjectIdentifier: any Channel], _ now: Int64
  ) -> String {
    var object = source
    // The graph has no loops; the bound is for the moment in which it is being changed.
    for _ in 0..<64 {
      guard object.state.value.isRunning else {
        let isAwaiting = object.node.awaited.value != nil
        return "\(object.path), which \(isAwaiting ? "waits" : "is stopped")"
      }
      if case .failed = object.state.value.kind { return "\(object.path), which has failed" }
      if object.session.isStuck { break }
      let figures = object.node.figures()
      if now - figures.input.lastAt <= patience(for: object, figures) { break }
      guard let upstream = object.node.input.upstream, let next = owners[ObjectIdentifier(upstream)] else { break }
      object = next
    }
    return "\(object.path)"
  }

  private func fullReceiver(of object: any Channel) -> (any Channel, InPort)? {
    for receiver in all {
      let port = receiver.node.input
      guard port.depth > 0, port.accepts, port.waiting >= port.depth, let upstream = port.upstream else { continue }
      if upstream === object.node.output { return (receiver, port) }
      // Through one of a group's outputs.
      if let output = all.first(where: { $0.node.output === upstream }), output.path.group == object.path {
        return (receiver, port)
      }
    }
    return nil
  }

  /// The pool of an object's own whose buffers are all held by others, and by whom, most first.
  private func missingBuffer(of object: any Channel) -> String? {
    let own = object.node.user
    guard own != .anonymous else { return nil }
    for entry in environment.pools.entries where entry.users.contains(own) && !entry.isGivenUp {
      let buffers = entry.pool.buffers
      // What a device is to fill is idle, or held by the object itself.
      guard !buffers.isEmpty, buffers.allSatisfy({ $0.references > 0 && $0.uses(by: own) == 0 }) else { continue }
      var holders: [(path: ObjectPath, held: Int)] = []
      for other in all where other.node.user != own && other.node.user != .anonymous {
        let held = buffers.count { $0.uses(by: other.node.user) > 0 }
        if held > 0 { holders.append((other.path, held)) }
      }
      // Those that hold as many stay in the order of the tree.
      holders.sort { $0.held > $1.held }
      let names = holders.map { "\($0.path) holds \($0.held)" }.joined(separator: ", ")
      return "a buffer of pool \(entry.pool.name)" + (names.isEmpty ? "" : ": \(names) of \(buffers.count)")
    }
    return nil
  }

  /// The output a group's worker does not come back from.
  private func stuckOutput(of group: any Channel, since: Int64) -> String? {
    for output in all where output.path.output != nil && output.path.group == group.path {
      let figures = output.node.figures()
      if figures.input.lastAt >= since, figures.output.lastAt < figures.input.lastAt, figures.inFlight > 0 {
        return "\(output.path), whose \(output.worker) does not come back"
      }
    }
    return nil
  }

  private func engineName(_ object: any Channel) -> String {
    object.engineName.map { " \($0)" } ?? ""
  }

  private func lastCause(_ figures: NodeFigures) -> String? {
    let dropped = figures.dropped
    let worst = DropCause.allCases.max { dropped[$0] < dropped[$1] }
    guard let worst, dropped[worst] > 0 else { return nil }
    return "nothing: its frames are dropped (\(worst.rawValue))"
  }
}
