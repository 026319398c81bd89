// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import LinuxMedia
internal import MediaCore
internal import SystemPackage

/// One open instance of a stateful decoder, from the first unit of a stream on. Used by one worker.
///
/// The stream goes into OUTPUT; the device reads its header and says so (source change), upon which the CAPTURE queue is set
/// up; when the stream changes its size, all old pictures come out up to the one marked LAST, and CAPTURE is set up anew
/// while OUTPUT goes on. Units go in as long as OUTPUT has room, pictures are taken whenever the device has made one.
final class DecoderRun {
  /// The last failure was a time-out of the device's.
  private(set) var hangs = false
  private let instance: M2MInstance
  private let configuration: DecoderConfiguration
  let status: DecoderStatus
  let waker: DeviceWaker
  private let oddities: DecoderQuirks.Oddities
  private let fourcc: FourCC
  let setup: DecoderPictureSetup
  private let wantedUnitSize: Int
  private let tellsChanges: Bool

  var stream: M2MPort?
  var pictures: DecodedPictures?
  var drained = CodecDrain()
  /// The device said that the stream has another size, and CAPTURE is not set up for it yet.
  var isChangePending = false
  var isDrainedOnce = false
  /// START does not end the state after LAST here, or has not been seen to.
  var isStartDeaf: Bool
  var isJustStarted = false
  private var parser: PictureParser

  var waiting = UnitsInside()
  private var sequence: UInt64 = 0
  private var keepsTime = false
  /// Units the device keeps until more come; learned.
  var unitDelay = 0
  /// When something last came of the device, or it was given a unit while it had none. CLOCK_MONOTONIC nanoseconds.
  private var movedAt: Int64 = 0
  /// Units that were answered for: by a picture, or as damaged.
  private var answered: UInt64 = 0
  /// Units the device could not decode, not told yet.
  private var damaged: [Int64] = []
  /// What has come of the device: units read, pictures, changes of size. An empty buffer marked LAST is nothing.
  var progress = 0
  var progressAtStop = -1

  /// Milliseconds the device may take before it is taken to hang.
  static let timeLimit: Int32 = 500
  /// Nanoseconds it may say nothing of units it has.
  private static let silence: Int64 = .milliseconds(250)
  /// Milliseconds a picture that is made may take to be handed over.
  static let handOver: Int32 = 20
  private static let units = 4

  init(
    _ path: String, _ configuration: DecoderConfiguration, memory: BufferMemory?, unitSize: Int, status: DecoderStatus,
    waker: DeviceWaker, kernel: any Kernel
  ) throws(Failure) {
    let instance = try M2MInstance(path, as: "decoder", kernel)
    fourcc = try instance.fourcc(instance.output, of: configuration.codec, toBe: "decode")
    let device = instance.device
    tellsChanges = try asFailure { () throws(KernelError) in
      try device.subscribe(.endOfStream)
      return try device.subscribe(.sourceChange)
    }
    self.instance = instance
    self.configuration = configuration
    setup = DecoderPictureSetup(
      device: device, type: instance.capture, configuration: configuration, wantedMemory: memory, status: status,
      waker: waker)
    self.wantedUnitSize = unitSize
    self.status = status
    self.waker = waker
    oddities = DecoderQuirks.oddities(device.capability.driver)
    isStartDeaf = oddities.contains(.deafStart)
    parser = PictureParser(configuration.codec)
  }

  deinit { pictures?.finish() }

  var engine: String { instance.engine }
  var device: V4L2Device { instance.device }
  var path: String { instance.path }

  /// Bytes a unit may have.
  var unitSize: Int { stream?.format.planes.first?.size ?? wantedUnitSize }

  /// It had its one drain: the device loses pictures after it.
  var isUsedUp: Bool { isDrainedOnce && oddities.contains(.onceOnlyDrain) }

  /// Gives up an instance that hangs. The owner keeps no reference to it.
  func leave() -> HangingInstance {
    pictures?.letGo()
    pictures = nil
    return HangingInstance([stream ?? M2MPort(device, format(0, 0))])
  }

  /// Units it works on: those the driver has, but for what it keeps until more come.
  var inside: Int { max(0, given - unitDelay) }

  var given: Int { stream.map { $0.count - $0.free.count } ?? 0 }

  // MARK: units in

  func submit<Sink: FrameSink & ~Copyable>(
    _ unit: UnsafeRawBufferPointer, pts: Int64, into sink: inout Sink
  ) throws(Failure) {
    if drained.state != .running { try resume() }
    let info = parser.parse(unit)
    // Where nothing can be read of it, it is taken for a picture.
    let givesPicture = info.slices > 0 || info.type == nil && !info.hasParameterSets
    let stream = try openStream(for: unit)
    try waitForRoom(stream, into: &sink)
    guard let index = stream.takeFree() else { throw Failure(.resourceBusy, "VIDIOC_QBUF", on: path) }
    let target = stream.bytes(index, plane: 0)
    guard unit.count <= target.count else {
      stream.giveBack(index)
      throw Failure(.messageTooLong, "VIDIOC_QBUF", on: path, "\(unit.count) bytes, the device takes \(target.count)")
    }
    target.copyMemory(from: unit)
    var buffer = QueueBuffer(index: index, planeCount: max(1, stream.format.planes.count))
    buffer[0] = .init(bytesUsed: unit.count, length: target.count)
    let entry = waiting.enter(pts: pts, givesPicture: givesPicture)
    if entry.lost { status.change { $0.counters.damaged += 1 } }
    buffer.cookie = entry.cookie
    buffer.field = 1
    if inside == 0 { movedAt = Clock.now() }
    try asFailure { () throws(KernelError) in try stream.enqueue(buffer) }
    try takeAll(stream, into: &sink)
    if pictures == nil, !tellsChanges || oddities.contains(.silentStart) {
      try beginUntold()
      try takeAll(stream, into: &sink)
    }
  }

  /// What is there already needs no waiting.
  private func takeAll<Sink: FrameSink & ~Copyable>(_ stream: M2MPort, into sink: inout Sink) throws(Failure) {
    while given > 0 || waiting.due > 0, try pump(stream, 0, into: &sink).moved {}
  }

  /// Waits until a picture came or a unit is lost, the waker was called, or the time has come.
  func collect<Sink: FrameSink & ~Copyable>(until deadline: Int64, into sink: inout Sink) throws(Failure) {
    let before = answered
    while answered == before, !waker.isInterrupted {
      guard let stream, drained.state == .running else {
        return try asFailure { () throws(KernelError) in try waker.rest(until: deadline) }
      }
      let left = deadline.millisecondsLeft
      guard left > 0 else { return }
      if try pump(stream, min(left, silenceLeft), into: &sink).woken { return }
      try judgeSilence()
    }
  }

  /// Tells of the units that could not be decoded.
  func tellDamaged<Sink: FrameSink & ~Copyable>(to sink: inout Sink) {
    for pts in damaged {
      sink.lost(
        pts, Failure(.illegalByteSequence, "VIDIOC_DQBUF", on: path, "the device could not decode the unit"))
    }
    damaged.removeAll(keepingCapacity: true)
  }

  private func format(_ width: Int, _ height: Int) -> VideoFormat {
    VideoFormat(
      type: instance.output, fourcc: fourcc, width: width, height: height, planes: [.init(size: wantedUnitSize)])
  }

  /// Sets up OUTPUT with the size the first unit tells, which a device that reads headers itself takes as a first guess.
  private func openStream(for unit: UnsafeRawBufferPointer) throws(Failure) -> M2MPort {
    if let stream { return stream }
    let size = parser.syntax.map { ($0.width, $0.height) } ?? (1920, 1088)
    let given = try instance.set(format(size.0, size.1), of: configuration.codec, toBe: "decode")
    let new = M2MPort(device, given)
    try asFailure { () throws(KernelError) in
      // V4L2_CID_MIN_BUFFERS_FOR_OUTPUT
      let needed = Int(try device.value(ofControl: 0x0098_0928) ?? 0)
      try new.allocate(max(Self.units, needed + 1), .mmap)
      try new.start()
    }
    stream = new
    return new
  }

  /// Waits for an empty unit, and for a picture to decode into.
  private func waitForRoom<Sink: FrameSink & ~Copyable>(
    _ stream: M2MPort, into sink: inout Sink
  ) throws(Failure) {
    var deadline = Deadline(Self.timeLimit)
    while true {
      try checkInterrupt()
      try queueHome()
      let lacksPicture = pictures.map { $0.isStreaming && $0.queued == 0 } ?? false
      if !stream.free.isEmpty && !lacksPicture { return }
      guard let left = deadline.nextWait() else {
        guard lacksPicture else { throw hang("VIDIOC_DQBUF", "it takes no unit in \(Self.timeLimit) ms") }
        throw Failure(
          .timedOut, "decode", on: path, "all \(pictures?.count ?? 0) pictures are in use since \(Self.timeLimit) ms")
      }
      let came = try pump(stream, min(left, silenceLeft), into: &sink)
      let isJudged = try judgeSilence()
      if came.moved || came.woken || isJudged { deadline = Deadline(Self.timeLimit) }
    }
  }

  func hang(_ call: String, _ detail: String) -> Failure {
    hangs = true
    return Failure(.timedOut, call, on: path, detail)
  }

  func checkInterrupt() throws(Failure) {
    if waker.isInterrupted { throw Failure(.canceled, "decode", on: path, "it was told to stop") }
  }

  // MARK: what the device says

  /// Waits for the device and does what it asks for.
  /// - Returns: whether something came of it, and whether the wait was ended by the waker.
  func pump<Sink: FrameSink & ~Copyable>(
    _ stream: M2MPort, _ milliseconds: Int32, into sink: inout Sink
  ) throws(Failure) -> (moved: Bool, woken: Bool) {
    try queueHome()
    let isFed = given > 0
    let canGive = pictures.map { $0.isStreaming && $0.queued > 0 } ?? false && drained.state != .drained
    var interest: PollInterest = [.priority]
    if isFed { interest.insert(.writable) }
    if canGive { interest.insert(.readable) }
    let device = isFed || canGive ? self.device : nil
    let result = try asFailure { () throws(KernelError) in
      try waker.wait(for: interest, of: device, milliseconds: milliseconds) { pictures?.hasComeHome ?? false }
    }
    var moved = false
    if result.priority { moved = try takeEvents() }
    if result.writable || result.failed { moved = try takeUnits(stream) || moved }
    if canGive, result.readable || result.failed { moved = try takePictures(into: &sink) || moved }
    if isChangePending, pictures == nil || drained.state == .drained {
      try change()
      moved = true
    }
    if result.failed, !moved {
      // Nothing is queued that could come: poll says so at once, again and again.
      _ = try asFailure { () throws(KernelError) in
        try waker.wait(for: [], of: nil, milliseconds: min(5, milliseconds)) { pictures?.hasComeHome ?? false }
      }
    }
    if result.woken { progress += 1 }
    if moved { movedAt = Clock.now() }
    unitDelay = min(unitDelay, given)
    return (moved, result.woken)
  }

  private func queueHome() throws(Failure) {
    guard let pictures, pictures.hasComeHome else { return }
    try asFailure { () throws(KernelError) in try pictures.queueHome() }
  }

  @discardableResult
  func takeEvents() throws(Failure) -> Bool {
    var found = false
    while true {
      let event = try asFailure { () throws(KernelError) in try device.nextEvent() }
      guard let event else { return found }
      if event == .sourceChange {
        isChangePending = true
        found = true
      }
    }
  }

  func takeUnits(_ stream: M2MPort) throws(Failure) -> Bool {
    var moved = false
    while given > 0 {
      switch stream.queue.dequeue() {
      case .buffer(let buffer):
        stream.giveBack(buffer.index)
        moved = true
        progress += 1
        if buffer.flags.contains(.error) { lost(buffer.cookie) }
      case .empty, .ended: return moved
      case .failed(let error): throw Failure(error)
      }
    }
    return moved
  }

  /// The device could not read a unit: no picture comes of it.
  private func lost(_ cookie: Int64) {
    guard let pts = waiting.take(cookie) else { return }
    answered += 1
    damaged.append(pts)
    status.change { $0.counters.damaged += 1 }
  }

  private func takePictures<Sink: FrameSink & ~Copyable>(into sink: inout Sink) throws(Failure) -> Bool {
    var moved = false
    // Asking again when nothing is due would be a call too many for every picture.
    while let pictures, pictures.queued > 0, drained.state != .drained,
      waiting.due > 0 || drained.state == .draining || isChangePending || !moved
    {
      switch pictures.dequeue() {
      case .empty: return moved
      case .failed(let error): throw Failure(error)
      case .ended:
        if isJustStarted { isStartDeaf = true }
        try ended()
        return true
      case .buffer(let buffer):
        moved = true
        isJustStarted = false
        if !buffer.flags.contains(.last) || buffer[0].bytesUsed > buffer[0].dataOffset { progress += 1 }
        let wasDraining = drained.state == .draining
        let hasPicture = drained.took(bytes: buffer[0].bytesUsed - buffer[0].dataOffset, flags: buffer.flags)
        if buffer.flags.contains(.error) {
          pictures.giveBack(buffer.index)
          lost(buffer.cookie)
        } else if hasPicture {
          show(buffer, pictures, into: &sink)
        } else {
          pictures.giveBack(buffer.index)
        }
        if drained.state == .drained {
          try ended(wasDraining: wasDraining)
          return true
        }
      }
    }
    return moved
  }

  private func show<Sink: FrameSink & ~Copyable>(
    _ buffer: QueueBuffer, _ pictures: DecodedPictures, into sink: inout Sink
  ) {
    let own = waiting.take(buffer.cookie)
    if own != nil { keepsTime = true }
    // A driver that does not keep time stamps: in order. Of one that does, a picture of before a flush.
    guard let pts = own ?? (keepsTime ? nil : waiting.takeFirst()) else {
      pictures.giveBack(buffer.index)
      return
    }
    sequence += 1
    answered += 1
    sink.picture(
      Frame(
        pictures.take(buffer, as: configuration.user), layout: pictures.layout(of: buffer), pts: pts,
        sequence: sequence - 1, stamps: FrameStamps(captured: Clock.now())))
  }

  // MARK: devices that say nothing

  /// Milliseconds until it is judged that nothing comes of the units inside; any time where there are none.
  var silenceLeft: Int32 {
    inside == 0 ? .max : max(0, (movedAt + Self.silence - Clock.now()).pollMilliseconds)
  }

  /// Draws the conclusion when nothing has come of what is inside for too long.
  /// - Returns: whether it was drawn just now.
  @discardableResult
  func judgeSilence() throws(Failure) -> Bool {
    guard inside > 0, Clock.now() - movedAt >= Self.silence else { return false }
    if pictures == nil {
      try beginUntold()
      movedAt = Clock.now()
    } else {
      // It reads one unit with the next one, or it hangs, which shows when it takes no more.
      unitDelay = given
    }
    return true
  }

  /// The device has said nothing of a header: with the size the stream has, as far as the runtime can read it.
  private func beginUntold() throws(Failure) {
    let known = parser.syntax.flatMap { $0.width > 0 && $0.height > 0 ? (width: $0.width, height: $0.height) : nil }
    let text = known.map { "the stream's \($0.width)x\($0.height)" } ?? "the size it has set"
    status.remark("the device does not say when it has read the header: \(text) is assumed")
    try beginPictures(fallback: known)
  }
}
