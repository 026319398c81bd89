// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import LinuxMedia
internal import MediaCore
internal import SystemPackage

/// One open instance of a stateful decoder, from the first unit of a stream on. Used by one worker.
///
/// The stream goes into OUTPUT; the device reads its header and says so (source change), upon which the CAPTURE queue is set
/// up; when the stream changes its size, all old pictures come out up to the one marked LAST, and CAPTURE is set up anew
/// while OUTPUT goes on. How many units and pictures a device keeps inside is learned, so that each call returns with all
/// that has come of the unit given.
final class DecoderRun {
  let engine: String
  /// The last failure was a time-out of the device's.
  private(set) var hangs = false
  let device: V4L2Device
  private let configuration: DecoderConfiguration
  let status: DecoderStatus
  let waker: DeviceWaker
  private let oddities: DecoderQuirks.Oddities
  private let fourcc: FourCC
  let setup: DecoderPictureSetup
  private let outputType: BufferType
  private let wantedUnitSize: Int
  private let tellsChanges: Bool

  var stream: M2MPort?
  var pictures: DecodedPictures?
  var drained = CodecDrain()
  /// The device said that the stream has another size, and CAPTURE is not set up for it yet.
  var isChangePending = false
  private var isDrainedOnce = false
  /// START does not end the state after LAST here, or has not been seen to.
  var isStartDeaf: Bool
  var isJustStarted = false
  private var parser: PictureParser

  private var waiting = UnitsInside()
  private var sequence: UInt64 = 0
  private var keepsTime = false
  /// Pictures and units the device keeps inside; learned.
  private var pictureDelay = 0
  private var unitDelay = 0
  /// What has come of the device: units read, pictures, changes of size. An empty buffer marked LAST is nothing.
  var progress = 0
  var progressAtStop = -1
  /// Milliseconds waited in vain, since something last came of the device.
  private var stalled: Int32 = 0
  private var isUnitDamaged = false

  /// Milliseconds the device may take before it is taken to hang.
  static let timeLimit: Int32 = 500
  /// Milliseconds a picture that is made may take to be handed over.
  static let handOver: Int32 = 20
  private static let units = 4

  init(
    _ path: String, _ configuration: DecoderConfiguration, memory: BufferMemory?, unitSize: Int, status: DecoderStatus,
    waker: DeviceWaker, kernel: any Kernel
  ) throws(Failure) {
    let device = try asFailure { () throws(KernelError) in try V4L2Device(path, kernel: kernel) }
    guard let captureType = device.captureType, let outputType = device.outputType, device.isMemoryToMemory else {
      throw Failure(.invalidArgument, "open", on: path, "\(device.capability.card) is no decoder")
    }
    let offered = try asFailure { () throws(KernelError) in try device.formats(of: outputType) }
    guard let format = offered.first(where: { Codec($0.fourcc) == configuration.codec }) else {
      throw Failure(.notSupported, "VIDIOC_ENUM_FMT", on: path, "the device does not decode \(configuration.codec)")
    }
    tellsChanges = try asFailure { () throws(KernelError) in
      try device.subscribe(.endOfStream)
      return try device.subscribe(.sourceChange)
    }
    self.device = device
    self.configuration = configuration
    setup = DecoderPictureSetup(
      device: device, type: captureType, configuration: configuration, wantedMemory: memory, status: status,
      waker: waker)
    self.outputType = outputType
    self.fourcc = format.fourcc
    self.wantedUnitSize = unitSize
    self.status = status
    self.waker = waker
    oddities = DecoderQuirks.oddities(device.capability.driver)
    isStartDeaf = oddities.contains(.deafStart)
    engine = "\(device.capability.card) (\(device.capability.driver) \(device.capability.version))"
    parser = PictureParser(configuration.codec)
  }

  deinit { pictures?.finish() }

  var path: String { device.path }

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

  // MARK: units in

  func decode<Sink: FrameSink & ~Copyable>(
    _ unit: UnsafeRawBufferPointer, pts: Int64, into sink: inout Sink
  ) throws(Failure) {
    if drained.state != .running { try resume() }
    let info = parser.parse(unit)
    // Where nothing can be read of it, a picture is waited for.
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
    // Seconds and microseconds below a million: drivers that count in nanoseconds or in microseconds give it back whole.
    buffer.timestamp = (entry.cookie / 1_000_000, entry.cookie % 1_000_000)
    buffer.field = 1
    isUnitDamaged = false
    try asFailure { () throws(KernelError) in try stream.enqueue(buffer) }
    try settle(stream, into: &sink)
    if isUnitDamaged {
      throw Failure(.illegalByteSequence, "VIDIOC_DQBUF", on: path, "the device could not decode the unit")
    }
  }

  private func format(_ width: Int, _ height: Int) -> VideoFormat {
    VideoFormat(
      type: outputType, fourcc: fourcc, width: width, height: height, planes: [.init(size: wantedUnitSize)])
  }

  /// Sets up OUTPUT with the size the first unit tells, which a device that reads headers itself takes as a first guess.
  private func openStream(for unit: UnsafeRawBufferPointer) throws(Failure) -> M2MPort {
    if let stream { return stream }
    let size = parser.syntax.map { ($0.width, $0.height) } ?? (1920, 1088)
    let given = try asFailure { () throws(KernelError) in try device.setFormat(format(size.0, size.1)) }
    guard Codec(given.fourcc) == configuration.codec else {
      throw Failure(.notSupported, "VIDIOC_S_FMT", on: path, "the device does not decode \(configuration.codec)")
    }
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
      if deadline.left <= 0 {
        guard lacksPicture else { throw hang("VIDIOC_DQBUF", "it takes no unit in \(Self.timeLimit) ms") }
        throw Failure(
          .timedOut, "decode", on: path, "all \(pictures?.count ?? 0) pictures are in use since \(Self.timeLimit) ms")
      }
      if try pump(stream, deadline.left, into: &sink) { deadline = Deadline(Self.timeLimit) }
    }
  }

  /// Waits until what the unit gives has come out, as far as this device lets it out before the next one.
  private func settle<Sink: FrameSink & ~Copyable>(_ stream: M2MPort, into sink: inout Sink) throws(Failure) {
    var deadline = Deadline(Self.timeLimit / 2)
    // What is there already needs no waiting.
    var wait: Int32 = 0
    while true {
      let hasMoved = try pump(stream, wait, into: &sink)
      let inside = stream.count - stream.free.count
      if hasMoved {
        (stalled, wait) = (0, 0)
        if pictures != nil, inside == 0, waiting.due == 0 { return }
        deadline = Deadline(Self.timeLimit / 2)
        continue
      }
      try checkInterrupt()
      if let pictures, pictures.queued == 0, !pictures.hasComeHome { return }
      if inside <= unitDelay {
        if pictures == nil || waiting.due <= pictureDelay { return }
        // Read and no picture: one that is shown later, or is handed over in a moment.
        if wait == Self.handOver {
          pictureDelay = min(waiting.due, UnitsInside.most)
          return
        }
        wait = Self.handOver
        continue
      }
      if pictures == nil, isSilentStartOver(deadline) {
        try beginUntold()
        continue
      }
      wait = deadline.left
      guard wait <= 0 else { continue }
      stalled += Self.timeLimit / 2
      if stalled >= Self.timeLimit, inside > 2, pictures != nil {
        throw hang("VIDIOC_DQBUF", "no picture in \(stalled) ms")
      }
      // It reads one unit with the next one, or it hangs; the next one shows.
      unitDelay = inside
      return
    }
  }

  private func hang(_ call: String, _ detail: String) -> Failure {
    hangs = true
    return Failure(.timedOut, call, on: path, detail)
  }

  private func checkInterrupt() throws(Failure) {
    if waker.isInterrupted { throw Failure(.canceled, "decode", on: path, "it was told to stop") }
  }

  // MARK: what the device says

  /// Waits for the device and does what it asks for.
  /// - Returns: whether something came of it.
  private func pump<Sink: FrameSink & ~Copyable>(
    _ stream: M2MPort, _ milliseconds: Int32, into sink: inout Sink
  ) throws(Failure) -> Bool {
    try queueHome()
    let isFed = stream.count > stream.free.count
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
    return moved || result.woken
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
    while stream.count > stream.free.count {
      switch stream.queue.dequeue() {
      case .buffer(let buffer):
        stream.giveBack(buffer.index)
        moved = true
        progress += 1
        if buffer.flags.contains(.error) { lost(cookie(buffer)) }
      case .empty, .ended: return moved
      case .failed(let error): throw Failure(error)
      }
    }
    return moved
  }

  /// The device could not read a unit: no picture comes of it.
  private func lost(_ cookie: Int64) {
    guard waiting.take(cookie) != nil else { return }
    isUnitDamaged = true
    status.change { $0.counters.damaged += 1 }
  }

  private func cookie(_ buffer: QueueBuffer) -> Int64 {
    buffer.timestamp.seconds * 1_000_000 + buffer.timestamp.microseconds
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
          lost(cookie(buffer))
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
    let own = waiting.take(cookie(buffer))
    if own != nil { keepsTime = true }
    // A driver that does not keep time stamps: in order. Of one that does, a picture of before a flush.
    guard let pts = own ?? (keepsTime ? nil : waiting.takeFirst()) else {
      pictures.giveBack(buffer.index)
      return
    }
    sequence += 1
    sink.picture(
      Frame(
        pictures.take(buffer, as: configuration.user), layout: pictures.layout(of: buffer), pts: pts,
        sequence: sequence - 1, stamps: FrameStamps(captured: Clock.now())))
  }

  // MARK: devices that say nothing

  private func isSilentStartOver(_ deadline: Deadline) -> Bool {
    !tellsChanges || oddities.contains(.silentStart) || deadline.left <= 0
  }

  /// The device has said nothing of a header: with the size the stream has, as far as the runtime can read it.
  private func beginUntold() throws(Failure) {
    let known = parser.syntax.flatMap { $0.width > 0 && $0.height > 0 ? (width: $0.width, height: $0.height) : nil }
    let text = known.map { "the stream's \($0.width)x\($0.height)" } ?? "the size it has set"
    status.remark("the device does not say when it has read the header: \(text) is assumed")
    try beginPictures(fallback: known)
  }

  // MARK: the end, seeking

  func drain<Sink: FrameSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    guard let stream, drained.state == .running else { return }
    isDrainedOnce = true
    let bothStream = stream.isStreaming && pictures?.isStreaming ?? false
    let answer = try asFailure { () throws(KernelError) in try device.decoder(.stop) }
    let isToStop = drained.stopped(answer, bothStreaming: bothStream)
    if isToStop {
      // No such command: what is inside comes while the stream is being read, the rest is given up.
      drained.resumed()
      while try pump(stream, stream.count > stream.free.count ? Self.timeLimit : Self.handOver, into: &sink) {
        try checkInterrupt()
      }
      drained.ended()
    }
    var deadline = Deadline(Self.timeLimit)
    var before = progress
    while drained.state == .draining {
      try checkInterrupt()
      _ = try pump(stream, deadline.left, into: &sink)
      if progress != before { (before, deadline) = (progress, Deadline(Self.timeLimit)) }
      if deadline.left <= 0, drained.state == .draining {
        guard let pictures, pictures.queued == 0, !pictures.hasComeHome else {
          throw hang("VIDIOC_DECODER_CMD", "the drain did not end")
        }
        throw Failure(.timedOut, "drain", on: path, "all \(pictures.count) pictures are in use")
      }
    }
    if !bothStream || isToStop {
      // Accepted and ignored, or not known: what was never read goes.
      try asFailure { () throws(KernelError) in
        try stream.stop()
        try stream.start()
      }
    }
    forget()
  }

  private func forget() {
    waiting.removeAll()
    (pictureDelay, unitDelay, stalled) = (0, 0, 0)
  }

  /// After a drain, with the next stream.
  private func resume() throws(Failure) {
    if let pictures, pictures.isStreaming { try goOn(pictures) }
    drained.resumed()
  }

  /// Seeking, at once: both queues are emptied, the sizes stay.
  func flush() throws(Failure) {
    guard let stream else { return }
    try asFailure { () throws(KernelError) in
      try stream.stop()
      try pictures?.stop()
    }
    forget()
    drained.resumed()
    try takeEvents()
    if let pictures {
      if isChangePending {
        // It had come to another size just then.
        try change()
      }
      if pictures === self.pictures { try asFailure { () throws(KernelError) in try pictures.start() } }
    }
    try asFailure { () throws(KernelError) in try stream.start() }
  }
}
