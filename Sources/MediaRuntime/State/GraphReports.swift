// SPDX-License-Identifier: Apache-2.0
import Base
public import MediaCore
public import Reports

extension MediaGraph {
  /// The objects of the graph: what they do, what they use, what they counted. In the order of the configuration.
  public func objectStates() -> [ObjectState] {
    all.map { state(of: $0) } + allFittings.compactMap { state(of: $0) }
  }

  /// One object, or `nil` when there is none of this path, or it has no state.
  public func objectState(_ path: ObjectPath) -> ObjectState? {
    object(path).map { state(of: $0) } ?? fitting(path).flatMap { state(of: $0) }
  }

  private func state(of object: any Fitting) -> ObjectState? {
    guard let condition = object.condition else { return nil }
    return ObjectState(
      path: "\(object.path)", kind: object.path.kind, condition: condition,
      active: object.activeFacts() + self.memoryFacts("\(object.path)"),
      statistics: ObjectStatistics(
        createdMicroseconds: object.createdAt / 1000, generation: object.generation, takesFrames: false),
      moreStatistics: object.statistics(), pool: object.pool.flatMap { self.poolReport($0) })
  }

  private func facts(of object: any Channel) -> [KeyValue] {
    var facts = object.activeFacts() + (object.core.painting?.facts ?? [])
    if let raw = object.tap.rawFact { facts.append(raw) }
    return facts + memoryFacts("\(object.path)") + object.settings.idle
  }

  func state(of object: any Channel) -> ObjectState {
    lazy var figures = object.node.figures()
    return ObjectState(
      path: "\(object.path)", kind: object.path.kind, condition: self.condition(of: object, figures),
      streams: self.streamReports(object),
      active: self.facts(of: object),
      statistics: self.statistics(of: object, figures),
      moreStatistics: object.moreStatistics() + (object.core.painting?.statistics ?? []), effects: object.effectRecords,
      controls: object.controls.map { ControlsReport($0) }, detection: object.detectionReport())
  }

  func condition(of object: any Channel, _ figures: NodeFigures) -> ObjectCondition {
    let state = object.state.value
    if !state.isRunning, let awaited = object.node.awaited.value {
      return .waiting(for: awaited.what)
    }
    switch state.kind {
    case .stopped, .starting: return .stopped
    case .failed(let why): return .failed(why: why)
    case .ended: return .ended
    case .running:
      if let obstacle = object.session.service.obstacle { return .waiting(for: obstacle) }
      if object.node.input.waiting == 0, object.node.input.upstream?.isOver ?? false { return .ended }
      let last = max(figures.input.lastAt, state.since)
      return environment.resumption.isOver(patience(for: object, figures), since: last, at: Clock.now())
        ? .starved : .running
    }
  }

  /// How long nothing may come to an object: three of its frame intervals, at least what the options say.
  func patience(for object: any Channel, _ figures: NodeFigures) -> Int64 {
    let rate = object.node.input.upstream?.format?.rate ?? object.node.output.format?.rate
    return max(environment.options.starvedAfter, 3 * (rate?.intervalNanoseconds ?? 0))
  }

  /// How long nothing may leave it: its frame-rate control may keep as little as one frame in many.
  func patienceForOutput(of object: any Channel, _ figures: NodeFigures) -> Int64 {
    let interval = object.node.input.upstream?.format?.rate.intervalNanoseconds ?? 0
    let gap = Int64(FrameControl.longestGap(object.node.input.control) ?? 1)
    return max(patience(for: object, figures), 3 * gap * interval)
  }

  private func statistics(of object: any Channel, _ figures: NodeFigures) -> ObjectStatistics {
    let work = figures.work
    var all = ObjectStatistics(createdMicroseconds: object.node.createdAt / 1000, generation: object.generation)
    all.framesIn = figures.input.frames
    all.framesOut = figures.output.frames
    all.framesPerSecond = (object.node.framesPerSecond * 100).rounded() / 100
    all.dropped = figures.dropped
    all.inFlight = figures.inFlight
    all.queueDepth = object.node.input.waiting
    all.queueCapacity = object.node.input.depth
    all.lastMicroseconds = Int(work.lastRun / 1000)
    all.meanMicroseconds = Int(work.meanRun / 1000)
    all.maximumMicroseconds = Int(work.longestRun / 1000)
    all.workMicroseconds = UInt64(max(0, work.totalRun)) / 1000
    all.bytesOut = object.stream == nil ? nil : work.bytesOut
    all.bytesCopied = work.bytesCopied + object.moreBytesCopied
    return all
  }

  /// The nodes of the graph by number.
  public func nodeReports() -> [NodeReport] {
    let objects = all
    var ids: [ObjectIdentifier: Int] = [:]
    for object in objects { ids[ObjectIdentifier(object.node.input)] = object.node.id }
    return objects.map { report(on: $0, ids) }.sorted { $0.id < $1.id }
  }

  private func report(on object: any Channel, _ ids: [ObjectIdentifier: Int]) -> NodeReport {
    let node = object.node
    let figures = node.figures()
    let state = object.state.value
    var flags: NodeFlags = [.valid]
    if state.isRunning { flags.insert(.streaming) }
    if node.input.upstream != nil { flags.insert(.boundAsSink) }
    let sinks = node.output.bindings.compactMap { ids[ObjectIdentifier($0.port)] }
    var input = port(figures.input, more: figures.work.dropped)
    input.frameControl = node.input.control
    input.waiting = node.input.waiting
    input.depth = node.input.depth
    let output = port(figures.output)
    return NodeReport(
      id: node.id, name: node.path.kind, path: "\(node.path)", channel: node.channel, userID: 0,
      // One use by the tree, one by its source, one by each receiver.
      references: 1 + (node.input.upstream == nil ? 0 : 1) + sinks.count, handle: nil, input: input, output: output,
      inFlight: figures.inFlight, flags: flags, sinks: sinks)
  }

  private func port(_ figures: PortFigures, more: DropCounts = DropCounts()) -> PortReport {
    PortReport(
      frames: figures.frames, dropped: figures.dropped + more, rate: Int(figures.framesPerSecond.rounded()),
      lastMicroseconds: Int(figures.lastNanoseconds / 1000),
      lastFrameAtMicroseconds: figures.lastAt == 0 ? nil : figures.lastAt / 1000)
  }

  /// The last frames that were dropped, oldest first.
  public func dropRecords() -> [DropRecord] { environment.drops.records }
}
